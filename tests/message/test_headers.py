"""Header fields: text, addresses, ids, dates, file names."""

from __future__ import annotations

import email.message
from datetime import UTC, datetime, timedelta
from email import policy
from typing import Final

import pytest

from nornmail.message.addresses import Address
from nornmail.message.attachments import safe_filename
from nornmail.message.dates import parse_date
from nornmail.message.headers import message_ids
from nornmail.message.limits import MAX_FILENAME_BYTES
from nornmail.message.message import parse_message
from nornmail.message.parser import parse_content_type, parse_disposition
from tests.message.reading import mail
from tests.support.table import table


@table(
    ("field", "subject"),
    [
        pytest.param(b"plain", "plain", id="plain"),
        pytest.param(b"a\r\n b\r\n\tc", "a b c", id="folded"),
        pytest.param(b"=?utf-8?B?w6k=?= x", "é x", id="base64"),
        pytest.param(b"=?iso-8859-1?Q?caf=E9_au_lait?=", "café au lait", id="quoted-printable"),
        pytest.param(b"=?utf-8?Q?a?=\r\n =?utf-8?Q?b?=", "ab", id="words split by folding"),
        pytest.param(b"=?utf-8?B?4oI=?= =?utf-8?B?rA==?=", "€", id="a character cut in two"),
        pytest.param(b"=?utf-8?B?4oKs?= =?koi8-r?B?1A==?=", "€т", id="two charsets"),
        pytest.param(b"=?utf-8*en?Q?a?=", "a", id="with a language"),
        pytest.param(b"=?utf-8?Q?a b?=", "a b", id="a blank in a word"),
        pytest.param(b"=?no-such?Q?=C3=A9?=", "é", id="an unknown charset"),
        pytest.param(b"=?rot13?Q?uryyb?=", "uryyb", id="a codec that is no charset"),
        pytest.param(b"caf\xc3\xa9", "café", id="raw UTF-8"),
        pytest.param(b"caf\xe9", "café", id="raw ISO 8859-1"),
        pytest.param(b"=?utf-8?Q?a=0D=0ABcc:_x?=", "a Bcc: x", id="an encoded line end"),
        pytest.param(b"a\0b\x1b[2J", "a b [2J", id="control characters"),
        pytest.param(b"=?utf-7?Q?+2AA-?=", "\ufffd", id="a lone surrogate"),
        pytest.param(b"=?utf-8?X?abc?= =?", "=?utf-8?X?abc?= =?", id="no encoded word"),
    ],
)
def test_a_subject(field: bytes, subject: str) -> None:
    assert parse_message(mail(Subject=field)).subject == subject


@table(
    ("field", "addresses"),
    [
        pytest.param(b"a@x", [("", "a@x")], id="bare"),
        pytest.param(b"A B <a@x>, c@x", [("A B", "a@x"), ("", "c@x")], id="two"),
        pytest.param(b'"Doe, Jo" <a@x>', [("Doe, Jo", "a@x")], id="a quoted comma"),
        pytest.param(b'"a \\"b\\"" <a@x>', [('a "b"', "a@x")], id="quoted quotes"),
        pytest.param(b"=?utf-8?Q?Doe,_J=C3=B6?= <a@x>", [("Doe, Jö", "a@x")], id="encoded comma"),
        pytest.param(b'"=?utf-8?Q?J=C3=B6?=" <a@x>', [("Jö", "a@x")], id="encoded in quotes"),
        pytest.param(b"J\xc3\xb6 <j\xc3\xb6@x>", [("Jö", "jö@x")], id="raw UTF-8"),
        pytest.param(b"a@x (Jo (jr))", [("Jo (jr)", "a@x")], id="a comment as the name"),
        pytest.param(b"p(his)@x, <q(q)@x>", [("his", "p@x"), ("", "q@x")], id="comments within"),
        pytest.param(b"Team: a@x, b@x; c@x", [("", "a@x"), ("", "b@x"), ("", "c@x")], id="group"),
        pytest.param(b"undisclosed-recipients:;", [], id="an empty group"),
        pytest.param(b"a@x; b@x", [("", "a@x"), ("", "b@x")], id="semicolons"),
        pytest.param(b'"jo doe"@x', [("", '"jo doe"@x')], id="a quoted local part"),
        pytest.param(b"a @ x . y", [("", "a@x.y")], id="obsolete blanks"),
        pytest.param(b"<@r1,@r2:a@x>", [("", "a@x")], id="a route"),
        pytest.param(b"a@[IPv6:::1]", [("", "a@[IPv6:::1]")], id="a domain literal"),
        pytest.param(b"root", [("root", "")], id="a local user"),
        pytest.param(b"Jo Doe", [("Jo Doe", "")], id="a name alone"),
        pytest.param(b"legit@x <evil@y>", [("legit@x", "evil@y")], id="an address as the name"),
        pytest.param(b"legit@x<evil@y>", [("legit@x", "evil@y")], id="the same without a blank"),
        pytest.param(b"=?utf-8?Q?a=40b=2C?= <c@x>", [("a@b,", "c@x")], id="an encoded address"),
        pytest.param(b"<a@x> <b@y>", [("", "a@x"), ("", "b@y")], id="without a comma"),
        pytest.param(b"a <b@x", [("a", "b@x")], id="an open bracket"),
        pytest.param(b'"', [], id="a lone quote"),
        pytest.param(b"=?utf-8?q?=0D=0ABcc:x?= <a@b>", [("Bcc:x", "a@b")], id="injection"),
    ],
)
def test_addresses(field: bytes, addresses: list[tuple[str, str]]) -> None:
    assert parse_message(mail(To=field)).to == tuple(Address(*one) for one in addresses)


def test_several_fields_of_one_name_are_read_together() -> None:
    assert parse_message(b"To: a@x\nTo: b@x\n\n").to == (Address("", "a@x"), Address("", "b@x"))


def test_several_authors_are_a_defect_and_the_first_counts() -> None:
    message = parse_message(mail(From=b"a@x, b@y"))
    assert message.from_.address == "a@x"
    assert "more than one address in From" in message.defects


def test_an_address_for_people_is_quoted_where_needed() -> None:
    assert str(Address('Doe, "Jo"', "a@x")) == '"Doe, \\"Jo\\"" <a@x>'
    assert str(Address("Jo", "a@x")) == "Jo <a@x>"
    assert str(Address("", "a@x")) == "a@x"


@table(
    ("field", "ids"),
    [
        pytest.param("<a@x> <b@x>", ("<a@x>", "<b@x>"), id="two"),
        pytest.param("<a@x><b@x>\t<a@x>", ("<a@x>", "<b@x>"), id="no blanks, and a repeat"),
        pytest.param("<a @x>", ("<a@x>",), id="broken folding"),
        pytest.param("a@x", ("<a@x>",), id="no brackets"),
        pytest.param("1234-5", ("<1234-5>",), id="one word, no sign"),
        pytest.param("Your message", (), id="two words, no sign"),
        pytest.param("<a@x", ("<a@x>",), id="an open bracket"),
        pytest.param('Your message of "Mon" <a@x>', ("<a@x>",), id="words around it"),
        pytest.param("<>", (), id="an empty one"),
        pytest.param("<" + "a" * 2_000 + "@x>", (), id="longer than a line"),
    ],
)
def test_message_ids(field: str, ids: tuple[str, ...]) -> None:
    assert message_ids(field) == ids


_LONG_ID: Final = "<" + "Aa1" * 30 + "=_x@mail.example.org>"


@table(
    ("field", "ids"),
    [
        pytest.param("=?utf-8?q?=3Ca=40x=3E?=", ("<a@x>",), id="one word"),
        pytest.param("=?us-ascii?Q?=3Ca?=\n =?us-ascii?Q?b=40x=3E?=", ("<ab@x>",), id="two words"),
        pytest.param("=?utf-8?b?PGFAeD4=?=", ("<a@x>",), id="base64"),
        pytest.param(
            "<r@x> =?utf-8?q?=3Ca=40x=3E?= <b@x>", ("<r@x>", "<a@x>", "<b@x>"), id="among others"
        ),
        pytest.param(
            "=?utf-8?q?=3Ca=40x=3E_=3Cb=40x=3E?=", ("<a@x>", "<b@x>"), id="two ids in one"
        ),
        pytest.param("=?utf-8?q?=3Ca=5Fb=40x=3E?=", ("<a_b@x>",), id="an underscore in it"),
    ],
)
def test_message_ids_that_a_program_encoded(field: str, ids: tuple[str, ...]) -> None:
    raw = b"Message-ID: %b\nIn-Reply-To: %b\nReferences: %b\n\n" % ((field.encode(),) * 3)
    message = parse_message(raw)
    assert (message.message_id, message.in_reply_to) == (ids[0], ids[0])
    assert (message.references, message.thread_id) == (ids, ids[0])


def test_ids_as_the_standard_library_writes_them() -> None:
    made = email.message.EmailMessage(policy=policy.SMTP)
    made["In-Reply-To"] = _LONG_ID
    made["References"] = f"<root@example.org> {_LONG_ID}"
    message = parse_message(made.as_bytes())
    assert message.in_reply_to == _LONG_ID
    assert message.references == ("<root@example.org>", _LONG_ID)


def test_of_too_many_references_the_root_and_the_newest_are_kept() -> None:
    field = " ".join(f"<{number}@x>" for number in range(5_000))
    ids = message_ids(field)
    assert (len(ids), ids[0], ids[1], ids[-1]) == (1_000, "<0@x>", "<4001@x>", "<4999@x>")


INSTANT = datetime(2024, 3, 1, 10, 30, 5, tzinfo=UTC)


@table(
    ("field", "date"),
    [
        pytest.param("Fri, 01 Mar 2024 10:30:05 +0000", INSTANT, id="the usual shape"),
        pytest.param("1 Mar 2024 11:30:05 +0100 (CET)", INSTANT, id="no weekday, a comment"),
        pytest.param("Fri, 1 Mar 24 10:30:05 GMT", INSTANT, id="two digits of a year"),
        pytest.param("Fri Mar  1 10:30:05 2024", INSTANT, id="the shape of ctime"),
        pytest.param("Fri, 01 Mar 2024 05:30:05 EST", INSTANT, id="a zone by name"),
        pytest.param("2024-03-01T10:30:05Z", INSTANT, id="ISO 8601"),
        pytest.param("2024-03-01 10:30:05", INSTANT, id="ISO 8601 without a zone"),
        pytest.param("Fri, 01 Mar 2024 10:30:05 -0000", INSTANT, id="an unknown zone"),
        pytest.param("Fri, 01 Mar 2024 10:30:05 +9999", INSTANT, id="a zone that is none"),
        pytest.param("31 Dec 2016 23:59:60 +0000", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC),
                     id="a leap second"),
        pytest.param("Fri, 31 Feb 2024 10:30:05 +0000", None, id="a day that is none"),
        pytest.param("Fri, 01 Foo 2024 10:30:05 +0000", None, id="a month that is none"),
        pytest.param("1 Jan 0001 00:00:00 +1400", None, id="a year that cannot change zones"),
        pytest.param("soon", None, id="words"),
        pytest.param("1" * 5_000, None, id="thousands of digits"),
        pytest.param("", None, id="nothing"),
    ],
)  # fmt: skip
def test_a_date(field: str, date: datetime | None) -> None:
    found = parse_date(field)
    assert found == date
    assert found is None or isinstance(found.utcoffset(), timedelta)


@table(
    ("name", "safe"),
    [
        pytest.param("a.pdf", "a.pdf", id="an ordinary name"),
        pytest.param("../../etc/passwd", "passwd", id="a path"),
        pytest.param("C:\\dir\\a.pdf", "a.pdf", id="a path of Windows"),
        pytest.param("..", "attachment.pdf", id="the parent"),
        pytest.param(".bashrc", "bashrc", id="a hidden file"),
        pytest.param("a\0b\r\n.pdf", "a_b_.pdf", id="control characters"),
        pytest.param("a\u202efdp.exe", "a_fdp.exe", id="a change of direction"),
        pytest.param("CON.txt", "_CON.txt", id="a device of Windows"),
        pytest.param("a.pdf. . ", "a.pdf", id="dots and blanks at the end"),
        pytest.param("a:b|c?.pdf", "a_b_c_.pdf", id="what Windows refuses"),
        pytest.param("", "attachment.pdf", id="no name"),
        pytest.param("dir/", "attachment.pdf", id="a directory"),
        pytest.param("Ü日.pdf", "Ü日.pdf", id="other scripts"),
    ],
)
def test_a_safe_file_name(name: str, safe: str) -> None:
    assert safe_filename(name, "application/pdf") == safe


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        pytest.param("é" * 500 + ".pdf", "é" * 98 + ".pdf", id="with an extension"),
        pytest.param("a." + "b" * 500, "a." + "b" * 198, id="with an end too long for one"),
        pytest.param("x" + "日" * 90, "x" + "日" * 66, id="without one"),
    ],
)
def test_a_long_file_name_is_cut_between_characters(name: str, safe: str) -> None:
    assert safe_filename(name, "") == safe
    assert len(safe.encode()) <= MAX_FILENAME_BYTES


@table(
    ("field", "filename"),
    [
        pytest.param("attachment; filename=a.pdf", "a.pdf", id="a token"),
        pytest.param('attachment; filename="a \\"b;.pdf"', 'a "b;.pdf', id="quoted"),
        pytest.param("attachment; filename*=UTF-8''%C3%9C.pdf", "Ü.pdf", id="RFC 2231"),
        pytest.param("a; filename*0*=utf-8''%C3; filename*1*=%9C; filename*2=.pdf", "Ü.pdf",
                     id="in sections, a character cut in two"),
        pytest.param("a; filename=x.pdf; filename*=utf-8''y.pdf", "y.pdf", id="both"),
        pytest.param('a; filename="=?utf-8?Q?=C3=9C.pdf?="', "Ü.pdf", id="an encoded word"),
        pytest.param('a; filename="\xc3\x9c.pdf"', "Ü.pdf", id="raw UTF-8"),
        pytest.param('a; filename="open.pdf', "open.pdf", id="a quote that is not closed"),
        pytest.param("a; filename*", None, id="no value"),
        pytest.param("a; filename*99999=x", None, id="a section that is none"),
    ],
)  # fmt: skip
def test_a_file_name_in_a_field(field: str, filename: str | None) -> None:
    assert parse_disposition(field)[1].get("filename") == filename


@table(
    ("field", "media_type"),
    [
        pytest.param("Text/HTML; charset=x", "text/html", id="case"),
        pytest.param("text / html", "text/html", id="blanks"),
        pytest.param("text", "text/plain", id="half a type"),
        pytest.param("text/plain; name*", "text/plain", id="half a parameter"),
        pytest.param("", "text/plain", id="nothing"),
    ],
)
def test_a_content_type(field: str, media_type: str) -> None:
    assert parse_content_type(field)[0] == media_type


def test_headers_are_an_ordered_mapping_without_case() -> None:
    headers = parse_message(b"X-A: 1\nx-b: =?utf-8?q?=C3=A9?=\nX-a: 3\n\n").headers
    assert headers.get("x-A") == "1"
    assert headers.get("X-B") == "é"
    assert headers.get("none") is None
    assert headers.get("none", "") == ""
    assert headers.get_all("X-A") == ("1", "3")
    assert list(headers.items()) == [("X-A", "1"), ("x-b", "é"), ("X-a", "3")]
    assert "X-B" in headers
    assert len(headers) == 3


@table(
    ("raw", "subject", "text"),
    [
        pytest.param(b"From me Mon\nSubject: s\n\nb", "s", "b", id="an envelope line of mbox"),
        pytest.param(b"Subject: s\nDear all,\nhello", "s", "Dear all,\nhello", id="no blank line"),
        pytest.param(b"X: 1\nrubbish\nSubject: s\n\nb", "s", "b", id="a line that is no field"),
        pytest.param(b"Subject : s\n\nb", "s", "b", id="a blank before the colon"),
        pytest.param(b"Subject: s", "s", "", id="no body"),
    ],
)
def test_where_the_header_ends(raw: bytes, subject: str, text: str) -> None:
    message = parse_message(raw)
    assert (message.subject, message.text) == (subject, text)


_WRITTEN: Final = b"Subject: s\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"


@table(
    "tail",
    [
        pytest.param(b"Scan Result: clean\n", id="a name of two words"),
        pytest.param(b"X-Scan\tv2: clean\n more\n", id="a tab in the name, and a fold"),
        pytest.param(b"Scan Result: a\nScan Result: b\n", id="two of them"),
        pytest.param(
            b"X-Long: a\nby mx.example.org; Fri\n", id="a fold of words that lost its blank"
        ),
        pytest.param(b"no field at all\n", id="no colon"),
        pytest.param(b"--\n", id="two dashes"),
        pytest.param(b"Scan Result: a\nX-Last: b\n", id="a field below it"),
        pytest.param(b"Scan Result: clean\r\n", id="another line end"),
    ],
)
def test_a_header_of_a_program_goes_on_to_its_empty_line(tail: bytes) -> None:
    message = parse_message(_WRITTEN + tail + b"\nHello,\n\nbring cake.\n")
    assert (message.subject, message.text) == ("s", "Hello,\n\nbring cake.\n")
    assert "a line in the header that is not a field" in message.defects
    part = (
        b"Content-Type: application/x-y\nContent-Transfer-Encoding: base64\n" + tail + b"\nQUJD\n"
    )
    whole = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" + part + b"--b--\n"
    assert [file.content for file in parse_message(whole).attachments] == [b"ABC"]


_LOST: Final = b"""Subject: s
References: <1@x.example>
<2@x.example>
To: Ann <ann@x.example>,
Bob <bob@x.example>
MIME-Version: 1.0
Content-Type: multipart/mixed;
boundary=b

--b
Content-Type: application/pdf;
name=a.pdf
Content-Disposition: attachment;
filename="the offer.pdf"

PDF
--b--
"""


def test_folds_that_lost_their_blank_belong_to_their_field() -> None:
    message = parse_message(_LOST)
    assert message.references == ("<1@x.example>", "<2@x.example>")
    assert [one.address for one in message.to] == ["ann@x.example", "bob@x.example"]
    assert [file.original_filename for file in message.attachments] == ["the offer.pdf"]
    assert "a line in the header that lost the blank before it" in message.defects


def test_a_line_that_does_not_go_on_with_its_field_is_no_part_of_it() -> None:
    raw = b"To: ann@x.example\nBob Ray\nMIME-Version: 1.0\nContent-Type: text/plain\na=b\n\nHello\n"
    message = parse_message(raw)
    assert [one.address for one in message.to] == ["ann@x.example"]
    assert message.text == "Hello\n"


def test_a_thousand_lost_folds_cost_no_more_than_as_many_fields() -> None:
    raw = b"MIME-Version: 1.0\nContent-Type: text/plain;\n" + b"a=b;\n" * 100_000 + b"\nHello\n"
    assert parse_message(raw).text.endswith("Hello\n")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(
            _WRITTEN + b"Dear all,\nhello", "Dear all,\nhello", id="there is no empty line"
        ),
        pytest.param(
            _WRITTEN + b"Dear all,\nhello\n\n \n", "Dear all,\nhello\n\n \n", id="nothing below it"
        ),
        pytest.param(
            b"Subject: s\nDear all: hello\n\nCake",
            "Dear all: hello\n\nCake",
            id="a header that a person typed",
        ),
        pytest.param(
            _WRITTEN + b" \nDear all,\n\nCake", "Dear all,\n\nCake", id="a line of blanks ends it"
        ),
    ],
)
def test_a_body_without_its_empty_line_is_kept(raw: bytes, text: str) -> None:
    message = parse_message(raw)
    assert (message.subject, message.text) == ("s", text)


def test_a_multipart_without_its_empty_line_is_opened() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\nA preamble.\n--b\nX-A: 1\n\nhello\n--b--\n"
    assert parse_message(raw).text == "hello"


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"Caution: sent from outside the company, be careful\n", id="with a colon"),
        pytest.param(b"This came from outside\n", id="without one"),
        pytest.param(b"***\nThis came from outside\n***\n", id="three lines"),
    ],
)
def test_lines_above_the_header_are_skipped(first: bytes) -> None:
    raw = first + b"From: a@example.org\nMessage-ID: <1@x>\nSubject: s\n\nb"
    message = parse_message(raw)
    assert (message.from_.address, message.subject, message.text) == ("a@example.org", "s", "b")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Hello,\nhow are you?\n\nAnn", id="no field"),
        pytest.param("Yes.\n____\nFrom: Bob\nTo: Ann\nSubject: s\n\nHi", id="what is quoted"),
    ],
)
def test_a_text_without_a_header_is_a_body(text: str) -> None:
    assert parse_message(text.encode()).text == text


def test_a_blank_before_the_colon_stays_out_of_the_name() -> None:
    headers = parse_message(b"X-One : 1\nX-Two: 2\n\n").headers
    assert list(headers.items()) == [("X-One", "1"), ("X-Two", "2")]
    assert (headers.get("x-one"), "x-one" in headers, list(headers)) == (
        "1",
        True,
        ["X-One", "X-Two"],
    )
