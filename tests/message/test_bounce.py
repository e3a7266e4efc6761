"""Delivery reports: by the standard, in a header, and in the words of many servers."""

from __future__ import annotations

import pytest

from nornmail.message.bounce import Bounce
from nornmail.message.message import parse_message
from tests.message import corpus
from tests.message.reading import mail
from tests.support.table import table

COPY = "Received: from x\nMessage-ID: <mine@x>\nTo: ann@x\nSubject: hello\n\ntext\n"


def report(*groups: str, original: str = COPY, kind: str = "message/rfc822") -> bytes:
    """A report by RFC 3464 with a group of fields for each recipient."""
    status = "\n".join(("Reporting-MTA: dns; mx.x\n", *(group + "\n" for group in groups)))
    body = (
        f"--b\n\nIt failed.\n--b\nContent-Type: message/delivery-status\n\n{status}\n"
        f"--b\nContent-Type: {kind}\n\n{original}\n--b--\n"
    )
    fields = {"Content_Type": b"multipart/report; report-type=delivery-status; boundary=b"}
    return mail(body.encode(), From=b"MAILER-DAEMON@mx.x", To=b"me@x", **fields)


def read(raw: bytes) -> Bounce:
    bounce = parse_message(raw).bounce
    assert bounce is not None
    return bounce


FAILED = "Final-Recipient: rfc822; ann@x\nAction: failed\nStatus: 5.1.1"


@table(
    ("group", "address", "final"),
    [
        pytest.param(FAILED, "ann@x", "ann@x", id="the final one"),
        pytest.param("Original-Recipient: rfc822; bob@y\n" + FAILED, "bob@y", "ann@x",
                     id="the original one, which is whom the message was sent to"),
        pytest.param("Original-Recipient: rfc822;unknown\n" + FAILED, "ann@x", "ann@x",
                     id="an original one that is not an address"),
        pytest.param(FAILED.replace("rfc822; ann@x", "rfc822;<ann@x>"), "ann@x", "ann@x",
                     id="in brackets"),
        pytest.param(FAILED.replace("rfc822; ann@x", "RFC822; ann@x (her)"), "ann@x", "ann@x",
                     id="with a comment"),
        pytest.param(FAILED.replace("rfc822; ann@x", "utf-8; änn@x"), "änn@x", "änn@x",
                     id="by RFC 6533"),
        pytest.param(FAILED.replace("rfc822; ", ""), "ann@x", "ann@x", id="without its type"),
        pytest.param(FAILED.replace("failed", "Failure"), "ann@x", "ann@x", id="misspelt"),
    ],
)  # fmt: skip
def test_whom_a_report_is_about(group: str, address: str, final: str) -> None:
    (one,) = read(report(group)).recipients
    assert (one.address, one.final_address, one.action, one.status) == (
        address, final, "failed", "5.1.1",
    )  # fmt: skip


def test_each_recipient_is_told_once_with_what_became_of_it() -> None:
    delayed = (
        "Final-Recipient: rfc822; bob@x\nAction: delayed\nStatus: 4.2.2 (full)\n"
        "Diagnostic-Code: smtp; 452 4.2.2\n over quota"
    )
    delivered = "Final-Recipient: rfc822; carol@x\nAction: delivered\nStatus: 2.0.0"
    bounce = read(report(FAILED, delayed, delivered, FAILED))
    assert [(one.address, one.action, one.status, one.diagnostic) for one in bounce.recipients] == [
        ("ann@x", "failed", "5.1.1", ""),
        ("bob@x", "delayed", "4.2.2", "452 4.2.2 over quota"),
    ]
    assert bounce.is_permanent
    assert not read(report(delayed)).is_permanent


@pytest.mark.parametrize(
    ("original", "kind"),
    [
        pytest.param(COPY, "message/rfc822", id="the message"),
        pytest.param(COPY, "text/rfc822-headers", id="its header"),
        pytest.param(COPY, "message/global-headers", id="its header by RFC 6533"),
        pytest.param("\n\n" + COPY, "message/rfc822", id="below blank lines"),
    ],
)
def test_the_original_is_known_by_its_message_id(original: str, kind: str) -> None:
    assert read(report(FAILED, original=original, kind=kind)).original_message_id == "<mine@x>"


FORWARDED = b"--w\nContent-Type: message/rfc822\n\n" + report(FAILED) + b"\n--w--\n"


@pytest.mark.parametrize(
    ("field", "group"),
    [
        pytest.param(b"", "X-Original-Message-ID: <mine@x>\n\n" + FAILED, id="in the report"),
        pytest.param(b"In-Reply-To: <mine@x>\r\n", FAILED, id="in In-Reply-To"),
        pytest.param(b"References: <root@x> <mine@x>\r\n", FAILED, id="in References"),
    ],
)
def test_a_report_without_a_copy_names_the_original(field: bytes, group: str) -> None:
    raw = field + report(group, original="", kind="text/plain")
    assert read(raw).original_message_id == "<mine@x>"
    assert read(report(FAILED, original="", kind="text/plain")).original_message_id == ""


def test_a_notice_without_a_copy_names_the_original() -> None:
    raw = notice("It failed.\n\n<ann@x>:\nno\n", In_Reply_To=b"<mine@x>")
    assert read(raw).original_message_id == "<mine@x>"


def test_a_report_that_is_the_whole_message() -> None:
    raw = mail(FAILED.encode(), From=b"postmaster@x", Content_Type=b"message/delivery-status")
    assert read(raw).recipients[0].address == "ann@x"


def test_a_report_that_a_gateway_wrapped() -> None:
    body = (
        b"--w\n\nA footer.\n--w\nContent-Type: message/rfc822\n\n" + report(FAILED) + b"\n--w--\n"
    )
    raw = mail(body, From=b"postmaster@x", Content_Type=b"multipart/mixed; boundary=w")
    bounce = read(raw)
    assert (bounce.recipients[0].address, bounce.original_message_id) == ("ann@x", "<mine@x>")


def test_a_person_who_forwards_a_report_sends_none() -> None:
    body = b"--w\n\nLook!\n" + FORWARDED
    raw = mail(body, From=b"bob@x", Subject=b"why?", Content_Type=b"multipart/mixed; boundary=w")
    assert parse_message(raw).bounce is None


def notice(text: str, *, sender: str = "MAILER-DAEMON@mx.x", subject: str = "failure notice",
           **fields: bytes) -> bytes:  # fmt: skip
    """A report in prose."""
    return mail(text.encode(), From=sender.encode(), To=b"me@x", Subject=subject.encode(),
                Content_Type=b"text/plain; charset=utf-8", **fields)  # fmt: skip


QMAIL = (
    "Hi. This is the program at mx.x. I could not deliver your message.\n"
    "I have given up.\n\n<ann@x>:\n5.2.2 over quota, says the host\n\n<bob@x>:\nno such user\n\n"
    f"--- Below this line is a copy of the message.\n\n{COPY}"
)
EXIM = (
    "A message that you sent could not be delivered to one of its recipients.\n"
    "The following address(es) failed:\n\n  ann@x\n    SMTP error from remote mail server:\n"
    "    550 5.1.1 unknown\n\n------ This is a copy of the message, with all headers. ------\n\n"
    f"{COPY}"
)


@table(
    ("raw", "recipients"),
    [
        pytest.param(notice(QMAIL), [("ann@x", "5.2.2"), ("bob@x", "")], id="qmail"),
        pytest.param(notice(EXIM, X_Failed_Recipients=b"ann@x"), [("ann@x", "5.1.1")], id="exim"),
        pytest.param(notice(EXIM), [("ann@x", "5.1.1")], id="exim without its field"),
        pytest.param(
            notice("The mail system\n\n<ann@x>: host mx.y said: 550 5.7.1 no\n    by policy\n"),
            [("ann@x", "5.7.1")], id="postfix without a report",
        ),
        pytest.param(
            notice("   ----- The following addresses had permanent fatal errors -----\n"
                   "ann@y\n    (expanded from: <bob@x>)\n\n   ----- Transcript of session follows"
                   " -----\n... while talking to mx.y.:\n>>> RCPT To:<carol@z>\n"),
            [("bob@x", "")], id="sendmail, an alias",
        ),
        pytest.param(
            notice("Your message\n\n  To: list@x\n  Subject: hello\n\ndid not reach the following"
                   " recipient(s):\n\nann@x on Fri, 1 Mar 2024 10:00:00 +0100\n    Not known.\n",
                   sender="System Administrator <postmaster@x>", subject="Undeliverable: hello"),
            [("ann@x", "")], id="Exchange",
        ),
        pytest.param(
            notice("Ihre Nachricht konnte nicht an folgende Empfänger zugestellt werden:\n\n"
                   "ann@x\n", sender="postmaster@x", subject="Unzustellbar: Hallo"),
            [("ann@x", "")], id="Exchange in German",
        ),
        pytest.param(
            notice("Votre message n'a pas pu être remis à\n  ann@x\n",
                   sender="postmaster@x", subject="Non remis : bonjour"),
            [("ann@x", "")], id="Exchange in French",
        ),
        pytest.param(
            notice("Message from yahoo.example.\nUnable to deliver message to the following"
                   " address(es).\n\n<ann@x>:\nThis user has no account.\n\n--- Original message"
                   f" follows.\n\n{COPY}", subject="Delivery failure"),
            [("ann@x", "")], id="Yahoo",
        ),
        pytest.param(
            notice("Your mail to the following recipients could not be delivered:\n\tann\n",
                   sender="MAILER-DAEMON@x", subject="Mail Delivery Problem"),
            [("ann@x", "")], id="AOL, which leaves out its own domain",
        ),
        pytest.param(
            notice("Your message\n  Subject: hello\nwas not delivered to:\n  ann@x\nbecause:\n"
                   "  User not listed in the directory\n",
                   sender="Postmaster@x", subject="DELIVERY FAILURE: User ann"),
            [("ann@x", "")], id="Lotus",
        ),
        pytest.param(
            notice("The message that you sent was undeliverable to the following:\n"
                   "    ann@x (the mailbox is full)\n", sender="postmaster@x",
                   subject="Message status - undeliverable"),
            [("ann@x", "")], id="GroupWise",
        ),
        pytest.param(
            notice("Failed Recipient: ann@x\nReason: none\n"), [("ann@x", "")], id="named",
        ),
        pytest.param(notice("Unknown user: ann@x\n"), [("ann@x", "")], id="an unknown user"),
        pytest.param(
            notice("There is no mailbox (username@x) here.\n", subject="Undelivered mail"),
            [("username@x", "")], id="a name that begins with a word that leads to one",
        ),
        pytest.param(
            notice("Невозможно доставить письмо:\n<ann@x>:\nлимит\n"),
            [("ann@x", "")], id="Russian",
        ),
        pytest.param(
            notice("邮件无法送达\n<ann@x>:\n", subject="退信"), [("ann@x", "")], id="Chinese",
        ),
    ],
)  # fmt: skip
def test_a_notice_in_prose(raw: bytes, recipients: list[tuple[str, str]]) -> None:
    bounce = read(raw)
    assert [(one.address, one.status) for one in bounce.recipients] == recipients
    assert bounce.is_permanent
    assert all(one.final_address == one.address for one in bounce.recipients)


def test_a_notice_tells_why_and_of_which_message() -> None:
    bounce = read(notice(QMAIL))
    assert bounce.recipients[0].diagnostic == "5.2.2 over quota, says the host"
    assert bounce.recipients[1].diagnostic == "no such user"
    assert bounce.original_message_id == "<mine@x>"


@pytest.mark.parametrize(
    "text",
    [
        "This is a warning.\nThe message has not yet been delivered to:\n  ann@x\n",
        "Delivery to the following recipient has been delayed:\n\n  ann@x\n\nIt will be retried.\n",
        "Your message could not be delivered to:\n  ann@x\nYou do not need to resend it.\n",
    ],
    ids=["not yet", "delayed", "no need to resend"],
)
def test_a_notice_of_a_delay_is_not_permanent(text: str) -> None:
    bounce = read(notice(text, subject="Warning: message delayed 4 hours"))
    assert [(one.address, one.action) for one in bounce.recipients] == [("ann@x", "delayed")]
    assert not bounce.is_permanent


@table(
    "raw",
    [
        pytest.param(notice(QMAIL, sender="bob@x", subject="Re: failure notice"), id="a person"),
        pytest.param(notice("It failed.\n<ann@x>:\n", sender="bob@x", subject="lunch"),
                     id="a list"),
        pytest.param(notice("Your parcel could not be delivered.\nann@shop.example\n",
                            sender="shop@shop.example", subject="Your delivery"), id="a parcel"),
        pytest.param(notice("It failed, and nobody knows for whom.\n"), id="nobody is named"),
        pytest.param(notice("Could not be delivered to me@x\n"), id="only its reader is named"),
        pytest.param(notice("<ann@x>: welcome to our server!\n", subject="Welcome"),
                     id="a server that greets"),
        pytest.param(
            mail(b"--b\n\nIt was read.\n--b\nContent-Type: message/disposition-notification\n\n"
                 b"Final-Recipient: rfc822; ann@x\n--b--\n", From=b"ann@x", Subject=b"Read: hello",
                 Content_Type=b"multipart/report; boundary=b; report-type="
                 b"disposition-notification"),
            id="a read receipt",
        ),
    ],
)  # fmt: skip
def test_what_is_no_report(raw: bytes) -> None:
    assert parse_message(raw).bounce is None


NOT_AS_EXPECTED = {
    "simple_20.txt": "the subject begins with Re: and the sender is no server",
    "yale_01.txt": "a name without a domain, for which two domains are to be guessed",
}
"""Reports of the corpus that are read in another way than the project that they are from does."""


@corpus.needs_corpus
def test_the_reports_of_the_corpus() -> None:
    folder = corpus.ROOT / "flufl.bounce"
    expected = corpus.read_json(folder / "EXPECTED.json")
    assert len(expected) > 100
    wrong = {}
    for name, wanted in expected.items():
        bounce = parse_message((folder / name).read_bytes()).bounce
        found = {one.address.lower() for one in bounce.recipients} if bounce else set()
        is_temporary = bounce is not None and not bounce.is_permanent
        if (found, is_temporary) != (
            {one.lower() for one in wanted["recipients"]},
            wanted["temporary"],
        ):
            wrong[name] = sorted(found)
    assert wrong.keys() == NOT_AS_EXPECTED.keys(), wrong


@corpus.needs_corpus
def test_other_mail_of_the_corpus_is_no_report() -> None:
    names = ("notmuch", "spamassassin", "roundcube", "talon", "nodemailer-mailparser")
    paths = [path for path in corpus.files() if path.relative_to(corpus.ROOT).parts[0] in names]
    found = [path.name for path in paths if parse_message(path.read_bytes()).bounce]
    assert found == ["delivery-status.eml"]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        pytest.param(
            "Your message to ann@x.example could not be delivered.\n\nThere is no such mailbox.\n\n"
            "For administrators\nStatus code: 550 5.1.10\n\nRecipient address: ann@x.example\n",
            "5.1.10",
            id="a code far below",
        ),
        pytest.param(
            "Delivery has failed to these recipients:\n\nann@x.example\nThe mailbox is full.\n\n"
            "Diagnostic information\n\nann@x.example\nRemote Server returned '554 5.2.2 full'\n",
            "5.2.2",
            id="a code in quotes",
        ),
        pytest.param(
            "Could not be delivered:\n\nann@x.example\nno such box\n\nfirst 4.4.1\n\nthen 5.4.4\n",
            "",
            id="two codes say nothing",
        ),
        pytest.param(
            "Could not be delivered:\n\nann@x.example\nno such box\n\nSent by version 2.0.12\n",
            "",
            id="a version is no code",
        ),
    ],
)
def test_the_code_of_a_notice_may_stand_anywhere(text: str, status: str) -> None:
    bounce = read(notice(text, sender="postmaster@x.example", subject="Undeliverable: Offer"))
    assert [(one.address, one.status) for one in bounce.recipients] == [("ann@x.example", status)]


OFFICE = "MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@x.example"


@pytest.mark.parametrize(
    ("subject", "text", "status", "words"),
    [
        pytest.param(
            "Undeliverable: Offer",
            "Your message to ann@x.example couldn't be delivered.\n\nHow to fix it\nTry again.\n\n"
            "Status code: 550 5.1.10\n\nError details\n"
            "Reported error: 550 5.1.10 RESOLVER.ADR.RecipientNotFound; no such\nrecipient\n\nX\n",
            "5.1.10",
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound; no such recipient",
            id="the answer of the server, wherever it stands, with its second line",
        ),
        pytest.param(
            "Delivery Status Notification (Failure)",
            "** Address not found **\n\nYour message wasn't delivered to ann@x.example because the"
            " address couldn't be found.\n\nThe response was:\n550-5.1.1 The account is gone\n",
            "5.1.1",
            "550-5.1.1 The account is gone",
            id="Gmail",
        ),
        pytest.param(
            "DELIVERY FAILURE: User ann",
            "Your message\n\nwas not delivered to:\n\n ann@x.example\n\nbecause:\n\n Not listed\n",
            "",
            "because: Not listed",
            id="what a colon leads to, over an empty line",
        ),
        pytest.param(
            "Permanent Delivery Failure",
            "Failed address: ann@x.example\n\n--- Session Transcript ---\n"
            " <-- 550 5.1.1 Unknown user there\n",
            "5.1.1",
            "550 5.1.1 Unknown user there",
            id="in the dialogue with the server",
        ),
        pytest.param(
            "Warning: could not send message for past 4 hours",
            "  ----- Transcript of session follows -----\n<ann@x.example>... Deferred: no answer\n",
            "",
            "Deferred: no answer",
            id="the recipient stands in the dialogue alone",
        ),
        pytest.param(
            "\u7cfb\u7edf\u9000\u4fe1",
            "\u6536\u4ef6\u4eba\uff1aann@x.example\n\u90ae\u4ef6\u672a\u80fd\u9001\u8fbe"
            "\uff08ann@x.example\uff09\u3002\n\n550 5.1.1 User is unknown\n",
            "5.1.1",
            "550 5.1.1 User is unknown",
            id="Chinese, with its own colons and brackets",
        ),
    ],
)
def test_a_notice_has_the_words_of_the_server(
    subject: str, text: str, status: str, words: str
) -> None:
    (recipient,) = read(notice(text, sender=OFFICE, subject=subject)).recipients
    assert (recipient.address, recipient.status) == ("ann@x.example", status)
    assert recipient.diagnostic == words


def test_a_report_of_a_delay_may_say_what_comes_if_it_fails_permanently() -> None:
    text = "A problem delivering to ann@x.example. We retry, and tell you if it fails permanently."
    bounce = read(notice(text, subject="Delivery Status Notification (Delay)"))
    assert [one.action for one in bounce.recipients] == ["delayed"]


@pytest.mark.parametrize(
    ("subject", "text", "expected"),
    [
        pytest.param(
            "Non remis : Offre",
            "Votre message \u00e0 ann@x.example n\u2019a pas pu \u00eatre remis.\n\n"
            "Code d\u2019\u00e9tat : 550 5.1.10\n",
            ("failed", "5.1.10"),
            id="French",
        ),
        pytest.param(
            "Delivery delayed: Offer",
            "Delivery is delayed to these recipients:\n\nann@x.example (ann@x.example)\n\n"
            "This message hasn't been delivered yet.\n\nServer error: '451 4.4.0 no answer'\n",
            ("delayed", "4.4.0"),
            id="a delay",
        ),
    ],
)
def test_a_notice_of_Exchange(subject: str, text: str, expected: tuple[str, str]) -> None:
    bounce = read(notice(text, sender=OFFICE, subject=subject))
    assert [(failed.action, failed.status) for failed in bounce.recipients] == [expected]


def test_what_Exchange_says_without_a_diagnostic_code() -> None:
    group = (
        "Final-Recipient: rfc822;ann@x\nAction: failed\n"
        "X-Supplementary-Info: <mx.x #5.1.1 SMTP; 550 5.1.1 no such user>\n"
    )
    (failed,) = read(report(group)).recipients
    assert failed.status == "5.1.1"
    assert failed.diagnostic == "mx.x #5.1.1 SMTP; 550 5.1.1 no such user"
    both = group + "Status: 5.0.0\nDiagnostic-Code: smtp;550 no\n"
    (failed,) = read(report(both)).recipients
    assert (failed.status, failed.diagnostic) == ("5.0.0", "550 no")


_GROUP = "Final-Recipient: rfc822;ann@x\nAction: failed\nStatus: 5.1.1\n"
_ENCODED = "=?utf-8?q?=3C7?=\n =?utf-8?q?=40mine=2Eexample=3E?="


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(report(_GROUP, original=f"Message-ID: {_ENCODED}\n\nx"), id="in the copy"),
        pytest.param(
            report(f"X-Original-Message-ID: {_ENCODED}\n", _GROUP, original="Subject: x\n\nx"),
            id="in a field of the report",
        ),
        pytest.param(
            notice(
                "<ann@x>:\nnot delivered\n\n--- Below is a copy of the message.\n\n"
                f"Message-ID: {_ENCODED}\n"
            ),
            id="in prose",
        ),
        pytest.param(
            notice("<ann@x>:\nnot delivered", In_Reply_To=_ENCODED.replace("\n", "\r\n").encode()),
            id="in what it answers",
        ),
    ],
)
def test_an_id_that_a_program_encoded_is_found_in_a_report(raw: bytes) -> None:
    assert read(raw).original_message_id == "<7@mine.example>"
