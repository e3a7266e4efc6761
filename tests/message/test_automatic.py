"""A machine sent this: which kind, how it is known, and who is no machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nornmail.message.automatic import KINDS, Automatic
from nornmail.message.message import parse_message
from tests.message.reading import mail
from tests.support.table import table


def automatic(**fields: bytes) -> Automatic:
    return parse_message(mail(b"Hello.\n", **fields)).automatic


SUPPRESS = b"DR, OOF, AutoReply"


@table(
    ("fields", "kind", "reason"),
    [
        pytest.param(
            {"Auto_Submitted": b"auto-replied; x=y"},
            "auto-reply",
            "Auto-Submitted: auto-replied",
            id="an automatic answer",
        ),
        pytest.param(
            {"Auto_Submitted": b"AUTO-GENERATED"},
            "auto-generated",
            "Auto-Submitted: auto-generated",
            id="a notification",
        ),
        pytest.param(
            {"Auto_Submitted": b"auto-notified; owner-email=a@x"},
            "auto-generated",
            "Auto-Submitted: auto-notified",
            id="a notification of Sieve",
        ),
        pytest.param(
            {"Auto_Submitted": b"yes"},
            "auto-generated",
            "Auto-Submitted: yes",
            id="a word that RFC 3834 does not have",
        ),
        pytest.param({"Return_Path": b"< >"}, "report", "Return-Path: <>", id="the null sender"),
        pytest.param(
            {"Return_Path": b"<>", "Auto_Submitted": b"auto-replied"},
            "auto-reply",
            "Auto-Submitted: auto-replied",
            id="an answer from the null sender",
        ),
        pytest.param(
            {"Return_Path": b"<>", "Subject": b"Abwesenheitsnotiz: Urlaub"},
            "auto-reply",
            "the subject begins with 'abwesenheitsnotiz'",
            id="away, from the null sender",
        ),
        pytest.param({"Precedence": b"Bulk"}, "bulk", "Precedence: bulk", id="bulk mail"),
        pytest.param({"Precedence": b"junk"}, "bulk", "Precedence: junk", id="junk mail"),
        pytest.param({"Precedence": b"list"}, "list", "Precedence: list", id="an old list"),
        pytest.param(
            {"Precedence": b"auto-reply"},
            "auto-reply",
            "Precedence: auto_reply",
            id="an old automatic answer",
        ),
        pytest.param({"List_Id": b"<l.x>"}, "list", "List-Id is present", id="a list"),
        pytest.param(
            {"List_Unsubscribe": b"<http://x>"},
            "list",
            "List-Unsubscribe is present",
            id="a newsletter",
        ),
        pytest.param(
            {"X_Mailing_List": b"a@x"},
            "list",
            "X-Mailing-List is present",
            id="a list of the kernel",
        ),
        pytest.param(
            {"X_Autoreply": b"yes"}, "auto-reply", "X-Autoreply is present", id="X-Autoreply"
        ),
        pytest.param(
            {"X_Autorespond": b"1"}, "auto-reply", "X-Autorespond is present", id="X-Autorespond"
        ),
        pytest.param(
            {"X_Auto_Reply_From": b"a@x"},
            "auto-reply",
            "X-Auto-Reply-From is present",
            id="X-Auto-Reply-From",
        ),
        pytest.param({"X_Loop": b"a@x"}, "auto-generated", "X-Loop is present", id="X-Loop"),
        pytest.param(
            {"X_GitHub_Reason": b"mention"},
            "auto-generated",
            "X-GitHub-Reason is present",
            id="a tracker",
        ),
        pytest.param(
            {"X_MS_Exchange_Generated_Message_Source": b"Mailbox Rules Agent"},
            "auto-generated",
            "X-MS-Exchange-Generated-Message-Source is present",
            id="a rule of Exchange",
        ),
        pytest.param(
            {"Feedback_ID": b"a:b:c:campaign"}, "bulk", "Feedback-ID is present", id="a campaign"
        ),
        pytest.param(
            {"X_Auto_Response_Suppress": SUPPRESS},
            "suppress",
            "X-Auto-Response-Suppress: DR, OOF, AutoReply",
            id="one that wants no answers",
        ),
        pytest.param(
            {"Content_Type": b"multipart/report; boundary=b"},
            "report",
            "a report (multipart/report)",
            id="a report",
        ),
        pytest.param(
            {"X_Failed_Recipients": b"a@x"},
            "report",
            "X-Failed-Recipients is present",
            id="a bounce of Exim",
        ),
        pytest.param(
            {"From": b"X <no-reply@x>"}, "noreply", "a reply goes to no-reply@x", id="no-reply"
        ),
        pytest.param(
            {"From": b"DoNotReply+1@x"},
            "noreply",
            "a reply goes to DoNotReply+1@x",
            id="DoNotReply",
        ),
        pytest.param(
            {"From": b"shop.noreply@x"},
            "noreply",
            "a reply goes to shop.noreply@x",
            id="noreply behind a name",
        ),
        pytest.param(
            {"From": b"nicht-antworten@x"},
            "noreply",
            "a reply goes to nicht-antworten@x",
            id="noreply in German",
        ),
        pytest.param(
            {"From": b"Mailer-Daemon@x"},
            "report",
            "the sender is Mailer-Daemon@x",
            id="a mailer daemon",
        ),
        pytest.param(
            {"From": b"postmaster@x"}, "report", "the sender is postmaster@x", id="a postmaster"
        ),
        pytest.param(
            {"From": b"bounces+a=b@x"},
            "report",
            "the sender is bounces+a=b@x",
            id="an address for bounces",
        ),
        pytest.param(
            {"From": b"a@x", "Reply_To": b"noreply@x"},
            "noreply",
            "a reply goes to noreply@x",
            id="a Reply-To that reaches nobody",
        ),
    ],
)
def test_automatic_mail(fields: dict[str, bytes], kind: str, reason: str) -> None:
    found = automatic(**fields)
    assert found == Automatic(kind, reason)
    assert found
    assert kind in KINDS


@table(
    "fields",
    [
        pytest.param({"Auto_Submitted": b"No"}, id="a person that says so"),
        pytest.param({"Auto_Submitted": b"no; comment"}, id="a person that says so, with more"),
        pytest.param({"Return_Path": b"<a@x>"}, id="an ordinary sender"),
        pytest.param({"Precedence": b"first-class"}, id="another precedence"),
        pytest.param({"X_Auto_Response_Suppress": b"None"}, id="one that takes answers"),
        pytest.param({"X_Auto_Response_Suppress": b"DR, RN, NRN"}, id="one that wants no reports"),
        pytest.param({"From": b"ann@noreply.example"}, id="the domain does not count"),
        pytest.param({"From": b"noreplyson@x", "Subject": b"hi"}, id="a name that begins alike"),
        pytest.param({"From": b"ann.notary@x"}, id="a name with not in it"),
        pytest.param({"From": b"noreply@shop.x", "Reply_To": b"ann@x"}, id="a form on a web page"),
        pytest.param({"Feedback_ID": b"1.us-east-1.abc=:AmazonSES"}, id="sent through Amazon"),
        pytest.param({"Feedback_ID": b"x.example:qybglogicsvrsz:y"}, id="sent through QQ"),
        pytest.param({"Subject": b"Out of office next week?"}, id="a subject about the office"),
        pytest.param({"Subject": b"Re: Automatic reply: hello"}, id="an answer to an answer"),
        pytest.param({"Subject": b"Urlaub"}, id="a subject about holidays"),
        pytest.param({"Subject": b"Automatic replies are broken"}, id="about automatic replies"),
        pytest.param({"X_Loop": b"no"}, id="a field that says no"),
        pytest.param({}, id="nothing at all"),
    ],
)
def test_a_person(fields: dict[str, bytes]) -> None:
    found = automatic(**fields)
    assert found == Automatic("", "")
    assert not found


@table(
    ("fields", "kind"),
    [
        pytest.param(
            {
                "List_Id": b"<x>",
                "X_GitHub_Reason": b"mention",
                "Precedence": b"list",
                "X_Auto_Response_Suppress": b"All",
                "From": b"noreply@x",
            },
            "list",
            id="a tracker's notification is a list",
        ),
        pytest.param(
            {"List_Id": b"<x>", "Auto_Submitted": b"auto-generated"},
            "list",
            id="one that says it is generated, too",
        ),
        pytest.param(
            {"List_Id": b"<x>", "Auto_Submitted": b"auto-replied"},
            "auto-reply",
            id="an automatic answer that came through a list is none",
        ),
        pytest.param(
            {"List_Id": b"<x>", "Content_Type": b"multipart/report; boundary=b"},
            "report",
            id="nor is a report",
        ),
        pytest.param(
            {"List_Id": b"<x>", "From": b"mailer-daemon@x"}, "report", id="nor is a bounce"
        ),
    ],
)
def test_of_several_kinds_the_first_of_the_table_counts(
    fields: dict[str, bytes], kind: str
) -> None:
    assert automatic(**fields).kind == kind


AWAY = {
    "English": "Automatic reply: your order",
    "English, of a web mailer": "Out of Office: your order",
    "English, in brackets": "[Auto-Reply] your order",
    "German": "Automatische Antwort: Ihre Bestellung",
    "French": "Réponse automatique\u00a0: votre commande",
    "Spanish": "Respuesta automática: su pedido",
    "Portuguese": "Resposta automática: seu pedido",
    "Italian": "Risposta automatica: il suo ordine",
    "Dutch": "Automatisch antwoord: uw bestelling",
    "Polish": "Odpowiedź automatyczna: zamówienie",
    "Swedish": "Automatiskt svar: din beställning",
    "Danish": "Automatisk svar: din bestilling",
    "Norwegian": "Fraværsmelding: bestillingen",
    "Finnish": "Automaattinen vastaus: tilauksesi",
    "Czech": "Automatická odpověď: objednávka",
    "Russian": "Авт\u043eм\u0430тический \u043eтвет: з\u0430к\u0430з",
    "Ukrainian": "Авт\u043eм\u0430тичн\u0430 відп\u043eвідь: з\u0430м\u043eвлення",
    "Chinese": "自动回复: 订单",
    "Chinese, a wide colon": "自動回覆：訂單",
    "Japanese": "自動応答: ご注文",
    "Korean": "자동 회신: 주문",
}


@table("subject", [pytest.param(one, id=name) for name, one in AWAY.items()])
def test_away_from_the_desk(subject: str) -> None:
    found = automatic(Subject=subject.encode())
    assert found.kind == "auto-reply"
    assert len(found.reason) <= 100


def test_the_same_subject_behind_Re_is_a_person_s() -> None:
    for subject in AWAY.values():
        assert not automatic(Subject=b"Re: " + subject.encode())


def test_a_bounce_that_only_its_body_shows_is_a_report() -> None:
    body = (
        b"--b\n\nSorry.\n--b\nContent-Type: message/delivery-status\n"
        b"\nReporting-MTA: dns; x\n\n"
        b"Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: "
        b"5.1.1\n--b--\n"
    )
    message = parse_message(mail(body, From=b"x@x", Content_Type=b"multipart/report; boundary=b"))
    assert message.bounce is not None
    assert message.automatic.kind == "report"


def test_it_goes_into_json_as_plain_values() -> None:
    fields = parse_message(mail(List_Id=b"<l.x>")).to_dict()
    assert fields["is_automatic"] is True
    values = [fields[name] for name in ("is_automatic", "automatic_kind", "automatic_reason")]
    assert values == [True, "list", "List-Id is present"]


CORPUS = Path(os.environ.get("NORNMAIL_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))
BOUNCES_WITHOUT_A_SIGN = 8
"""Of the 103: they are told by the words of their text alone."""


def test_real_bounces_are_automatic() -> None:
    folder = CORPUS / "flufl.bounce"
    if not folder.is_dir():
        pytest.skip(f"there is no corpus at {CORPUS}; NORNMAIL_CORPUS names another place")
    files = [one for one in folder.iterdir() if one.suffix == ".txt"]
    missed = [one.name for one in files if not parse_message(one.read_bytes()).is_automatic]
    assert len(files) > 100
    assert len(missed) <= BOUNCES_WITHOUT_A_SIGN, missed
