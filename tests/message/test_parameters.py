"""Content-Type, Content-Disposition, file names and transfer encodings, kept and broken."""

from __future__ import annotations

import pytest

from nornmail.message.message import parse_message
from nornmail.message.parser import parse_content_type, parse_disposition
from nornmail.message.transfer_encoding import decode_transfer, encoding_of
from tests.message.reading import mail
from tests.support.table import table


@table(
    ("field", "name"),
    [
        pytest.param("filename=a.pdf", "a.pdf", id="a token"),
        pytest.param("filename=my file.pdf", "my file.pdf", id="blanks without quotes"),
        pytest.param("filename=a = b.pdf; size=3", "a = b.pdf", id="a sign of equality"),
        pytest.param("filename=a (1).pdf", "a (1).pdf", id="brackets without quotes"),
        pytest.param("filename='a.pdf'", "'a.pdf'", id="single quotes"),
        pytest.param('filename="a;b,c.pdf"', "a;b,c.pdf", id="separators in quotes"),
        pytest.param('filename="a \\"b\\".pdf"', 'a "b".pdf', id="escaped quotes"),
        pytest.param('filename="C:\\dir\\a.pdf"', "C:\\dir\\a.pdf", id="a path of Windows"),
        pytest.param('filename="a.pdf', "a.pdf", id="an open quote"),
        pytest.param('filename = "a.pdf"', "a.pdf", id="blanks around the sign"),
        pytest.param('FileName="a.pdf"', "a.pdf", id="capitals"),
        pytest.param('filename="a.pdf"; filename="b.pdf"', "a.pdf", id="twice: the first"),
        pytest.param('filename=""', None, id="an empty one"),
        pytest.param("filename=", None, id="none"),
        pytest.param("filename*=utf-8''%C3%9C.pdf", "Ü.pdf", id="RFC 2231"),
        pytest.param("filename*=utf-8'de'%C3%9C.pdf", "Ü.pdf", id="with a language"),
        pytest.param("filename*=''a.pdf", "a.pdf", id="without a charset"),
        pytest.param("filename*=%C3%9C.pdf", "Ü.pdf", id="without marks"),
        pytest.param("filename*=\"utf-8''%C3%9C.pdf\"", "Ü.pdf", id="in quotes"),
        pytest.param("filename=\"utf-8''%C3%9C.pdf\"", "Ü.pdf", id="without its asterisk"),
        pytest.param("filename*=koi8-r''%C4.pdf", "д.pdf", id="in another charset"),
        pytest.param("filename*=utf-8''a%0D%0Ab.pdf", "a b.pdf", id="an encoded line end"),
        pytest.param("filename*0=a; filename*1=b.pdf", "ab.pdf", id="sections"),
        pytest.param('filename*1="b.pdf"; filename*0="a"', "ab.pdf", id="in the wrong order"),
        pytest.param("filename*0*=utf-8''%C3; filename*1*=%9C; filename*2=%41.pdf", "Ü%41.pdf",
                     id="sections, encoded and not"),
        pytest.param("filename*0=a; filename*2=c.pdf", "ac.pdf", id="a section missing"),
        pytest.param("filename=x.pdf; filename*0*=utf-8''%C3%9C; filename*1=.pdf", "Ü.pdf",
                     id="both: the extended one"),
        pytest.param('filename="=?utf-8?Q?=C3=9C.pdf?="', "Ü.pdf", id="RFC 2047 in quotes"),
        pytest.param("filename==?utf-8?Q?=C3=9C.pdf?=", "Ü.pdf", id="RFC 2047 without"),
        pytest.param('filename="=?utf-8?B?w5w=?= =?utf-8?B?LnBkZg==?="', "Ü.pdf", id="two words"),
        pytest.param('filename*0="=?utf-8?Q?=C3="; filename*1="9C.pdf?="', "Ü.pdf",
                     id="a word cut in two by sections"),
        pytest.param("filename*0*=utf-8''=?utf-8?Q?=C3=9C?=; filename*1=.pdf", "Ü.pdf",
                     id="a word within RFC 2231"),
        pytest.param('filename="\xc3\x9c.pdf"', "Ü.pdf", id="raw UTF-8"),
        pytest.param('filename="\xdc.pdf"', "Ü.pdf", id="raw ISO 8859-1"),
        pytest.param("filename*1234=x", None, id="a section beyond all"),
        pytest.param("filename*0*=utf-8'x", "x", id="one of the two marks"),
        pytest.param("filename*=utf-8'%C3%9C.pdf", "Ü.pdf", id="one mark, encoded"),
        pytest.param("filename*=o'clock.txt", "o'clock.txt", id="a mark in a name"),
        pytest.param("filename*=utf-8''%ZZ%", "%ZZ%", id="escapes that are none"),
        pytest.param("filename*=no-such''%E9", "é", id="a charset that is none"),
        pytest.param("filename*=\0''x", "x", id="NUL for a charset"),
        pytest.param("name=a.pdf", None, id="the name of the type"),
    ],
)  # fmt: skip
def test_a_file_name(field: str, name: str | None) -> None:
    assert (parse_disposition("attachment; " + field)[1].get("filename") or None) == name


def test_a_raw_name_is_in_the_charset_of_the_message() -> None:
    body = b"--b\nContent-Disposition: attachment; filename=\xc4\xc1.txt\n\nx\n--b--\n"
    kind = b"multipart/mixed; boundary=b; charset=koi8-r"
    (one,) = parse_message(mail(body, Content_Type=kind, Subject=b"\xc4\xc1")).attachments
    assert one.filename == "да.txt"


def test_a_raw_name_is_in_the_charset_of_the_text_before_it() -> None:
    body = (
        b"--b\nContent-Type: text/plain; charset=koi8-r\n\nx\n"
        b"--b\nContent-Disposition: attachment; filename=\xc4\xc1.txt\n\nx\n--b--\n"
    )
    (one,) = parse_message(mail(body, Content_Type=b"multipart/mixed; boundary=b")).attachments
    assert one.filename == "да.txt"


@table(
    ("field", "kind", "parameters"),
    [
        pytest.param("text/html; charset=x", "text/html", {"charset": "x"}, id="usual"),
        pytest.param("text/html charset=x", "text/html", {"charset": "x"}, id="no semicolon"),
        pytest.param("text/html;charset=x;;format=flowed;", "text/html",
                     {"charset": "x", "format": "flowed"}, id="too many semicolons"),
        pytest.param("text/plain; charset=x ; format=flowed", "text/plain",
                     {"charset": "x", "format": "flowed"}, id="a blank before a semicolon"),
        pytest.param("text/plain; charset=x format=flowed", "text/plain",
                     {"charset": "x", "format": "flowed"}, id="a blank for a semicolon"),
        pytest.param("text/plain; charset=us-ascii (Plain text)", "text/plain",
                     {"charset": "us-ascii"}, id="a comment"),
        pytest.param("TEXT/Plain; CHARSET=X", "text/plain", {"charset": "X"}, id="capitals"),
        pytest.param('"text/html"; charset=x', "text/html", {"charset": "x"}, id="in quotes"),
        pytest.param("multipart; boundary=b", "multipart/mixed", {"boundary": "b"}, id="half"),
        pytest.param("mixed; boundary=b", "multipart/mixed", {"boundary": "b"}, id="the other"),
        pytest.param("text", "text/plain", {}, id="a word"),
        pytest.param('charset=x; name="a"', "text/plain", {"charset": "x", "name": "a"},
                     id="parameters alone"),
        pytest.param("image/; name=a", "text/plain", {"name": "a"}, id="half a type"),
        pytest.param('a/b; name="a "b".c"; x=y', "a/b", {"name": 'a "b".c', "x": "y"},
                     id="quotes in quotes"),
        pytest.param('a/b; name=""b".c" charset=d', "a/b", {"name": '"b".c', "charset": "d"},
                     id="quotes in quotes, and no semicolon"),
        pytest.param('a/b; name="c.d" (e); x=y', "a/b", {"name": "c.d", "x": "y"},
                     id="a comment behind quotes"),
        pytest.param("; charset=x", "text/plain", {"charset": "x"}, id="no type"),
        pytest.param("text/plain; name*", "text/plain", {}, id="no value"),
    ],
)  # fmt: skip
def test_a_content_type(field: str, kind: str, parameters: dict[str, str]) -> None:
    assert parse_content_type(field) == (kind, parameters)


@table(
    ("field", "disposition", "name"),
    [
        pytest.param("attachment", "attachment", None, id="a word"),
        pytest.param("Attachment;filename=a", "attachment", "a", id="no blank"),
        pytest.param("attachment filename=a", "attachment", "a", id="no semicolon"),
        pytest.param('"inline"; filename=a', "inline", "a", id="in quotes"),
        pytest.param("filename=a", "", "a", id="no word"),
        pytest.param("; filename=a", "", "a", id="a semicolon first"),
        pytest.param("", "", None, id="nothing"),
    ],
)
def test_a_disposition(field: str, disposition: str, name: str | None) -> None:
    found = parse_disposition(field)
    assert (found[0], found[1].get("filename")) == (disposition, name)


@table(
    ("field", "encoding"),
    [
        pytest.param("BASE64 ", "base64", id="capitals and a blank"),
        pytest.param('"base64"', "base64", id="in quotes"),
        pytest.param("base64;", "base64", id="a semicolon"),
        pytest.param("base64 (a comment)", "base64", id="a comment"),
        pytest.param("(a comment) base64", "base64", id="a comment in front"),
        pytest.param("quoted_printable", "quoted-printable", id="an underscore"),
        pytest.param("QuotedPrintable", "quoted-printable", id="no hyphen"),
        pytest.param("7-bit", "7bit", id="a hyphen too many"),
        pytest.param("8bit\x00", "8bit", id="NUL"),
        pytest.param("x-uuencode", "x-uuencode", id="another"),
        pytest.param("", "", id="none"),
    ],
)
def test_the_name_of_an_encoding(field: str, encoding: str) -> None:
    assert encoding_of(field) == encoding


PROSE = b"Dear all,\nthis text is not what its header says that it is. Sorry!\n"


@table(
    ("encoding", "data", "content"),
    [
        pytest.param("base64", b" aGVs\n\tbG8=\n", b"hello", id="blanks before the lines"),
        pytest.param("base64", b"aGVs \r\nbG8= \r\n", b"hello", id="blanks behind the lines"),
        pytest.param("base64", b"aGVsbG8==\n", b"hello", id="too much padding"),
        pytest.param("base64", b"aGVsbG8=\n\n-- \nA footer, by a list.\n", b"hello", id="a footer"),
        pytest.param("base64", b"aGVsbG8=\n--\n", b"hello", id="dashes"),
        pytest.param("base64", b"aGVs\n----\nbG8=", b"hello", id="dashes in the middle"),
        pytest.param("base64", b"aGk=\naGk=\n", b"hihi", id="two runs"),
        pytest.param("base64", b"aGVsbG8A", b"hello\0", id="no padding needed"),
        pytest.param("base64", b"aGVsbG8gd29ybGQhA", b"hello world!", id="a character too many"),
        pytest.param("base64", PROSE, PROSE, id="prose that says base64"),
        pytest.param("base64", b"", b"", id="nothing"),
        pytest.param("base64", b"====", b"", id="padding alone"),
        pytest.param("quoted-printable", b"a= \nb", b"ab", id="a blank behind a soft break"),
        pytest.param("quoted-printable", b"a=\t \r\nb", b"ab", id="blanks behind a soft break"),
        pytest.param("quoted-printable", b"=c3=a9", b"\xc3\xa9", id="small digits"),
        pytest.param("quoted-printable", b"a=b=", b"a=b", id="signs that are no escapes"),
        pytest.param("quoted-printable", b"caf\xc3\xa9", b"caf\xc3\xa9", id="raw octets"),
        pytest.param("x-yencode", b"=ybegin", b"=ybegin", id="yEnc is left alone"),
        pytest.param("binhex", b":x:", b":x:", id="BinHex is left alone"),
    ],
)
def test_content_that_is_not_quite_what_it_says(encoding: str, data: bytes, content: bytes) -> None:
    assert decode_transfer(data, encoding) == content
