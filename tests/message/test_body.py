"""Bytes to text: charsets, transfer encodings, HTML, and the new part of a reply."""

from __future__ import annotations

import base64
from typing import Final

import pytest

from nornmail.html.document import html_to_text
from nornmail.message import transfer_encoding
from nornmail.message.message import parse_message
from nornmail.message.quotes.new_text import new_text
from nornmail.message.transfer_encoding import decode_transfer
from tests.message.reading import mail
from tests.support.table import table


@table(
    ("label", "data", "text"),
    [
        pytest.param("utf-8", b"\xc3\xa9", "é", id="utf-8"),
        pytest.param("UTF8", b"\xc3\xa9", "é", id="utf8"),
        pytest.param("us-ascii", b"\xc3\xa9", "é", id="utf-8 that says ascii"),
        pytest.param("iso-8859-1", b"\x80\xe9", "€é", id="windows-1252 that says iso-8859-1"),
        pytest.param("gb2312", "镕".encode("gb18030"), "镕", id="gbk that says gb2312"),
        pytest.param("windows-874", b"\xa1", "ก", id="windows-874"),
        pytest.param("iso-8859-8-i", b"\xe0", "א", id="iso-8859-8-i"),
        pytest.param("x-mac-cyrillic", b"\x80", "А", id="x-mac-cyrillic"),
        pytest.param("ks_c_5601-1987", "한".encode("cp949"), "한", id="ks_c_5601-1987"),
        pytest.param("x-sjis", "日".encode("cp932"), "日", id="x-sjis"),
        pytest.param("iso-2022-jp", "日".encode("iso2022_jp"), "日", id="iso-2022-jp"),
        pytest.param("koi8-r", "да".encode("koi8-r"), "да", id="koi8-r"),
        pytest.param("no-such-charset", b"\xc3\xa9", "é", id="unknown, but utf-8"),
        pytest.param("no-such-charset", b"\xe9", "é", id="unknown, and not utf-8"),
        pytest.param("rot13", b"uryyb", "uryyb", id="rot13 is no charset"),
        pytest.param("idna", b"xn--a", "xn--a", id="idna is no charset"),
        pytest.param("utf-8", b"\xc3\xa9a\xffb", "éa\ufffdb", id="broken utf-8"),
        pytest.param("utf-8", b"\xef\xbb\xbfa", "a", id="a byte order mark"),
        pytest.param("utf-7", b"+2AA-", "\ufffd", id="a lone surrogate"),
        pytest.param("utf-8", b"a\0b", "ab", id="NUL"),
    ],
)
def test_a_charset(label: str, data: bytes, text: str) -> None:
    raw = mail(data, Content_Type=f"text/plain; charset={label}".encode())
    assert parse_message(raw).text == text


_POLISH: Final = "Zażółć gęślą jaźń"


@table(
    ("label", "text"),
    [
        pytest.param("iso-8859-1", "ein Stück für 5 €", id="western"),
        pytest.param("iso-8859-1", "naïve", id="western, with one letter alone"),
        pytest.param("windows-1252", "fünf", id="the vendor's name of it"),
        pytest.param("iso-8859-2", _POLISH, id="Polish"),
        pytest.param("windows-1251", "Договор подписан", id="Russian"),
        pytest.param("koi8-r", "Договор подписан", id="Russian, the old way"),
        pytest.param("windows-1253", "καλημέρα", id="Greek"),
        pytest.param("windows-1254", "teşekkürler, çok iyi", id="Turkish"),
        pytest.param("windows-874", "ขอบคุณมากครับ แล้วพบกันใหม่", id="Thai"),
        pytest.param("iso-8859-1", "谢谢你 \U0001f389", id="what western text cannot hold"),
        pytest.param("windows-1251", "300 €", id="one character of three octets"),
    ],
)
def test_utf_8_under_another_label_is_read_as_utf_8(label: str, text: str) -> None:
    message = parse_message(
        mail(text.encode(), Content_Type=f"text/plain; charset={label}".encode())
    )
    assert message.text == text
    assert any(defect.startswith("UTF-8 labelled ") for defect in message.defects)


@table(
    ("label", "text"),
    [
        pytest.param("iso-8859-1", "ein Stück für 5 Euro, naïve", id="western"),
        pytest.param("windows-1251", "Договор подписан", id="Russian"),
        pytest.param("windows-1251", "ВІ", id="two capitals that are one character of UTF-8"),
        pytest.param("koi8-r", "Договор подписан", id="Russian, the old way"),
        pytest.param("iso-8859-2", _POLISH, id="Polish"),
        pytest.param("windows-1253", "Καλημέρα", id="Greek"),
        pytest.param("windows-1255", "שלום", id="Hebrew"),
        pytest.param("cp874", "ขอบ เกม", id="Thai, which is valid UTF-8 by accident at times"),
    ],
)
def test_text_under_its_own_label_is_left_alone(label: str, text: str) -> None:
    raw = mail(text.encode(label), Content_Type=f"text/plain; charset={label}".encode())
    message = parse_message(raw)
    assert (message.text, message.defects) == (text, ())


@table("label", ["rot13", "zlib", "hex", "unicode_escape", "undefined", "x" * 99])
def test_a_label_that_is_no_charset_is_a_defect(label: str) -> None:
    message = parse_message(mail(b"a", Content_Type=f"text/plain; charset={label}".encode()))
    assert any(defect.startswith("unknown charset") for defect in message.defects)


def test_a_charset_within_the_html_is_found() -> None:
    html = b'<meta http-equiv="Content-Type" content="text/html; charset=koi8-r"><p>\xc4\xc1'
    assert parse_message(mail(html, Content_Type=b"text/html")).text == "да"


@table(
    ("encoding", "data", "content"),
    [
        pytest.param("base64", b"aGVs\r\nbG8=\r\n", b"hello", id="base64"),
        pytest.param("base64", b"aGVsbG8", b"hello", id="base64 without its padding"),
        pytest.param("base64", b"aGVsb", b"hel", id="base64 that was cut off"),
        pytest.param("base64", b"aGk=\naGk=\n", b"hihi", id="base64 in two runs"),
        pytest.param("base64", b"a!G*V\0sbG8=", b"hello", id="base64 with rubbish in it"),
        pytest.param("quoted-printable", b"a=\r\nb=3Dc_=ZZ", b"ab=c_=ZZ", id="quoted-printable"),
        pytest.param("x-uuencode", b"begin 644 a\n%:&5L;&\\ \n \nend\n", b"hello", id="uuencode"),
        pytest.param("x-uuencode", b"no begin", b"no begin", id="uuencode without a beginning"),
        pytest.param("8bit", b"\xff", b"\xff", id="8bit"),
        pytest.param("no-such", b"aGk=", b"aGk=", id="an unknown encoding"),
    ],
)
def test_a_transfer_encoding(encoding: str, data: bytes, content: bytes) -> None:
    assert decode_transfer(data, encoding) == content


@table("size", [1, 2, 3, 4, 5, 57])
@table("between", [b"", b"\n", b"\r\n"], ids=repr)
def test_pieces_of_base64_in_a_row_are_all_decoded(size: int, between: bytes) -> None:
    pieces = [bytes((number + place) % 256 for place in range(size)) for number in range(20)]
    data = between.join(base64.b64encode(piece) for piece in pieces)
    assert decode_transfer(data, "base64") == b"".join(pieces)


def test_pieces_of_base64_that_lost_a_sign_of_padding_are_decoded() -> None:
    assert decode_transfer(b"QQ==QQ=QUI=QQ==", "base64") == b"AAABA"


@table(
    ("footer", "kept"),
    [
        pytest.param(b"", b"AA", id="none"),
        pytest.param(b"_____\nSent to the list\n", b"AA", id="a rule"),
        pytest.param(b"Have a nice day now\n", b"AA", id="words that make fours"),
        pytest.param(b"Regards\nAnnaLeee\n", b"AA", id="a line of seven letters"),
        pytest.param(b"QUJD\n", b"AAABC", id="more base64"),
    ],
)
def test_a_footer_below_base64_is_left_out(footer: bytes, kept: bytes) -> None:
    assert decode_transfer(b"QQ==\nQQ==\n" + footer, "base64") == kept


def test_base64_of_very_many_torn_pieces_is_read_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transfer_encoding, "MAX_ENCODED_RUNS", 50_000)
    notes: list[str] = []
    content = decode_transfer(b"QQ=" * 50_010, "base64", notes.append)
    assert content == b"A" * 50_000
    assert "more runs of base64 than the limit" in notes


def test_every_octet_of_an_attachment_survives() -> None:
    content = bytes(range(256)) * 100
    encoded = base64.encodebytes(content)
    fields = {"Content_Type": b"image/png", "Content_Transfer_Encoding": b"Base64 (a comment)"}
    (attachment,) = parse_message(mail(encoded, **fields)).attachments
    assert attachment.content == content


@table(
    ("html", "text"),
    [
        pytest.param("<p>a</p><p>b</p>", "a\n\nb", id="paragraphs"),
        pytest.param("<div>a</div><div>b</div>", "a\nb", id="blocks"),
        pytest.param("a<br>b<br/><br>c", "a\nb\n\nc", id="line breaks"),
        pytest.param("a \n\t b&nbsp; c", "a b c", id="white space"),
        pytest.param("a<b>b</b> <i>c</i>d", "ab cd", id="inline markup"),
        pytest.param("&lt;&#233;&#xe9;&amp;lt;&no;", "<éé&lt;&no;", id="references"),
        pytest.param("&#99999999999;&#x110000;", "&#99999999999;\ufffd", id="numbers too large"),
        pytest.param("<script>x<p></script>a<style>p{}</style><title>t</title>b", "ab", id="raw"),
        pytest.param("a<!-- <p>x --> b<!DOCTYPE x><?php ?>", "a b", id="comments"),
        pytest.param("<a href='http://x/'>a</a>.", "a (http://x/).", id="a link"),
        pytest.param('<a href="http://x">http://x</a>', "http://x", id="a link as its own text"),
        pytest.param('<a href="mailto:a@x">a@x</a>', "a@x", id="a mail link"),
        pytest.param('<a href="javascript:x">a</a>', "a", id="a script as a link"),
        pytest.param("<ul><li>a<li><p>b</p></ul>c", "- a\n- b\n\nc", id="a list"),
        pytest.param("<ol><li>a</li><li>b<ul><li>c</ul></ol>", "1. a\n2. b\n  - c", id="numbers"),
        pytest.param("a<blockquote>b<br>c</blockquote>d", "a\n\n> b\n> c\n\nd", id="a quote"),
        pytest.param("<pre>a  b\n  c</pre>", "a  b\n  c", id="preformatted"),
        pytest.param("<table><tr><td>a<td>b<tr><td>c</table>", "a b\nc", id="a table"),
        pytest.param('<p title="a>b">c', "c", id="a bracket in an attribute"),
        pytest.param("<p title=it's>c</p>it's", "c\n\nit's", id="a quote that is none"),
        pytest.param("1 < 2 <3 a<>b", "1 < 2 <3 a<>b", id="brackets that are no tags"),
        pytest.param("a<b title='", "a", id="a tag that never ends"),
        pytest.param("a<!-- b", "a", id="a comment that never ends"),
        pytest.param("a<script>b", "a", id="a script that never ends"),
        pytest.param("a</é>b</>c", "abc", id="end tags that are none"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_html_to_text(html: str, text: str) -> None:
    assert html_to_text(html) == text


@table(
    ("text", "new"),
    [
        pytest.param("Yes.\n\nOn Mon, 1 Jan 2024, A <a@x> wrote:\n> No?\n", "Yes.",
                     id="an attribution"),
        pytest.param("Yes.\n\nOn Mon, 1 Jan 2024 at 10:00, Somebody Long\n<a@x> wrote:\n\n> No?",
                     "Yes.", id="an attribution on two lines"),
        pytest.param("Ja.\n\nAm 01.01.2024 um 10:00 schrieb A:\n> Nein?", "Ja.", id="German"),
        pytest.param("Yes.\n\n-----Original Message-----\nFrom: a\n\nNo?", "Yes.", id="Outlook"),
        pytest.param("Yes.\n\n________________________________\nFrom: a\nSent: b\n\nNo?", "Yes.",
                     id="Outlook on the web"),
        pytest.param("Yes.\n> No?\n>\n> Why?\n", "Yes.", id="quotes at the end"),
        pytest.param("Yes.\n\n-- \nA. B.\n", "Yes.", id="a signature"),
        pytest.param("> No?\n\nYes.", "> No?\n\nYes.", id="an answer below is kept with its quote"),
        pytest.param("On 1 Jan A wrote:\n> No?\nYes.\n> Why?\nSo.",
                     "On 1 Jan A wrote:\n> No?\nYes.\n> Why?\nSo.", id="answers between"),
        pytest.param("On reflection I never wrote: no date", "On reflection I never wrote: no date",
                     id="a sentence that is no attribution"),
        pytest.param("a -- b\n--\nc", "a -- b", id="a signature without its blank"),
        pytest.param("-----Original Message-----\nhi", "-----Original Message-----\nhi",
                     id="where nothing would be left all is kept"),
        pytest.param("", "", id="nothing"),
    ],
)  # fmt: skip
def test_the_new_part_of_a_reply(text: str, new: str) -> None:
    assert new_text(text) == new
