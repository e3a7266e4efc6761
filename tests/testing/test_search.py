"""SEARCH keys and RETURN options."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nornmail.testing import MailServer
from tests.testing.raw_client import RawClient

ONE = b"From: Ann\r\nTo: bob\r\nMessage-ID: <1@x>\r\nSubject: big\r\n news\r\n\r\nfirst body\r\n"
TWO = b"From: Bob\r\nCc: ann\r\nX-Empty:\r\n\r\nsecond body, from: nobody\r\n" + b"x" * 100
THREE = b"Subject: other\r\n\r\nthird\r\n"

LETTERS = {
    1: b"Subject: =?utf-8?q?Gr=C3=BC?= =?utf-8?b?w59l?=\r\nDate: 2 Mar 20 23:30 -0800\r\n\r\nx\r\n",
    2: b"Subject: gr\xc3\xbc\xc3\x9fe\r\nDate: Tue, 3 Mar 2020 00:00:00 +0000\r\n\r\ny\r\n",
    3: (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
        b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ==\r\n"
        b"--b\r\nContent-Type: text/html; charset=latin-1\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe soft=\r\nbreak\r\n"
        b"--b\r\nContent-Type: image/png\r\n\r\npicture\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: within\r\n\r\nenclosed\r\n--b--\r\n"
    ),
    4: b"Bcc: hidden@x\r\nDate: no day\r\nX-Long: a\r\n    b\r\n\r\nz\r\n",
    5: b"Subject: =?x-none?q?a?= =?utf-8?b?!?=\r\nDate: 31 Feb 2020 00:00\r\n\r\n",
}


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("SUBJECT gr\u00fc\u00dfe", b" 1 2"),
        ("SUBJECT GR\u00dcSSE", b" 1 2"),
        ("SUBJECT =?utf-8", b""),
        ("BODY gr\u00fc\u00dfe", b" 3"),
        ("BODY softbreak", b" 3"),
        ("BODY picture", b""),
        ("BODY preamble", b""),
        ("BODY enclosed", b" 3"),
        ("BODY within", b""),
        ("TEXT within", b" 3"),
        ("TEXT image/png", b" 3"),
        ("BCC hidden", b" 4"),
        ('HEADER X-Long "a b"', b" 4"),
        ("SENTON 2-Mar-2020", b" 1"),
        ("SENTSINCE 3-Mar-2020", b" 2"),
        ("SENTBEFORE 3-Mar-2020", b" 1"),
        ("NEW", b""),
        ("RECENT", b""),
        ("OLD UID 1", b" 1"),
        ('BODY ""', b" 1 2 3 4 5"),
    ],
)
def test_texts_are_decoded(server: MailServer, keys: str, found: bytes) -> None:
    for uid, raw in LETTERS.items():
        server.deliver(raw, uid=uid)
    head, _, word = keys.rpartition(" ")
    text = keys.encode()
    if not keys.isascii():
        text = head.encode() + b" {%d+}\r\n%s" % (len(word.encode()), word.encode())
    with RawClient.to(server) as client:
        answer = client.command(b"UID SEARCH CHARSET UTF-8 " + text)
    assert answer == b"* SEARCH" + found + b"\r\ntag OK SEARCH completed\r\n"


def test_a_charset_is_that_of_the_strings(server: MailServer) -> None:
    server.deliver(LETTERS[1])
    with RawClient.to(server) as client:
        text = b"UID SEARCH CHARSET ISO-8859-1 SUBJECT {2+}\r\n\xfc\xdf"
        assert client.command(text).startswith(b"* SEARCH 1\r\n")


@pytest.fixture
def filled(server: MailServer, client: RawClient) -> RawClient:
    """A client whose INBOX holds the UIDs 10, 20 and 30."""
    day = [datetime(2024, 2, number, 23, tzinfo=UTC) for number in range(4)[1:]]
    server.deliver(ONE, uid=10, flags=["\\Seen", "$Work"], date=day[0])
    server.deliver(TWO, uid=20, flags=["\\Deleted"], date=day[1])
    server.deliver(THREE, uid=30, flags=["\\Flagged", "\\Seen"], date=day[2])
    client.command(b"NOOP")
    return client


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (b"ALL", b" 10 20 30"),
        (b"2:*", b" 20 30"),
        (b"3:2,1 2", b" 20"),
        (b"UID 15:*", b" 20 30"),
        (b"UID 10,20,99 UID 20:30", b" 20"),
        (b"UID 900:*", b" 30"),
        (b"UID 900", b""),
        (b"SEEN", b" 10 30"),
        (b"UNSEEN", b" 20"),
        (b"DELETED", b" 20"),
        (b"UNDELETED FLAGGED", b" 30"),
        (b"KEYWORD $work", b" 10"),
        (b"UNKEYWORD $Work", b" 20 30"),
        (b"NOT SEEN", b" 20"),
        (b"NOT NOT UID 10", b" 10"),
        (b"OR UID 10 UID 30", b" 10 30"),
        (b"OR (SEEN FLAGGED) DELETED", b" 20 30"),
        (b"(UID 10:20) (SEEN)", b" 10"),
        (b"FROM ann", b" 10"),
        (b"CC ANN", b" 20"),
        (b'SUBJECT "big news"', b" 10"),
        (b"HEADER Message-ID <1@x>", b" 10"),
        (b'HEADER X-Empty ""', b" 20"),
        (b'HEADER Message ""', b""),
        (b"TEXT ann", b" 10 20"),
        (b"BODY from:", b" 20"),
        (b"BODY {5+}\r\nthird", b" 30"),
        (b"SINCE 2-Feb-2024", b" 20 30"),
        (b'BEFORE "2-feb-2024"', b" 10"),
        (b"ON 3-Feb-2024", b" 30"),
        (b"LARGER 100", b" 20"),
        (b"SMALLER 30", b" 30"),
        (b"CHARSET UTF-8 SEEN", b" 10 30"),
        (b"CHARSET us-ascii SEEN", b" 10 30"),
    ],
    ids=lambda value: value.decode("latin-1"),
)
def test_uid_search(filled: RawClient, keys: bytes, found: bytes) -> None:
    answer = filled.command(b"UID SEARCH " + keys)
    assert answer == b"* SEARCH" + found + b"\r\ntag OK SEARCH completed\r\n"


def test_search_answers_sequence_numbers(filled: RawClient) -> None:
    assert filled.command(b"SEARCH SEEN").startswith(b"* SEARCH 1 3\r\n")


@pytest.mark.parametrize(
    ("options", "result"),
    [
        (b"(ALL)", b" UID ALL 10,30"),
        (b"()", b" UID ALL 10,30"),
        (b"(COUNT MIN MAX)", b" UID MIN 10 MAX 30 COUNT 2"),
        (b"(max all)", b" UID MAX 30 ALL 10,30"),
    ],
    ids=lambda value: value.decode("latin-1"),
)
def test_return_options_give_esearch(filled: RawClient, options: bytes, result: bytes) -> None:
    answer = filled.command(b"UID SEARCH RETURN " + options + b" SEEN")
    assert answer.startswith(b'* ESEARCH (TAG "t4")' + result + b"\r\ntag OK")
    assert filled.command(b"SEARCH RETURN (COUNT) ALL").startswith(
        b'* ESEARCH (TAG "t5") COUNT 3\r\n'
    )


@pytest.mark.parametrize(
    "keys",
    [
        b"",
        b"WHATEVER",
        b"4",
        b"UID",
        b"UID x",
        b"NOT",
        b"OR SEEN",
        b"(SEEN",
        b"SEEN )",
        b"ON 31-Feb-2024",
        b"ON 1-Foo-2024",
        b"LARGER 9999999999",
        b"RETURN (SAVE) ALL",
        b"FROM {3}x",
        b"NOT " * 60 + b"SEEN",
        b"(" * 60 + b"SEEN" + b")" * 60,
    ],
    ids=lambda value: value[:20].decode("latin-1") or "nothing",
)
def test_what_cannot_be_understood_is_bad(filled: RawClient, keys: bytes) -> None:
    assert filled.command(b"UID SEARCH " + keys).startswith(b"tag BAD")


@pytest.mark.parametrize("charset", [b"X-NONE", b"rot13", b'""', b"{1+}\r\n\xff"])
def test_an_unknown_charset_is_named_so(filled: RawClient, charset: bytes) -> None:
    answer = filled.command(b"UID SEARCH CHARSET " + charset + b" ALL")
    assert answer.startswith(b"tag NO [BADCHARSET (US-ASCII UTF-8)]")
