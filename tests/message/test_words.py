"""Encoded words, raw octets and charsets in header fields, in every state of repair."""

from __future__ import annotations

import pytest

from nornmail.message.message import parse_message
from tests.message.reading import mail
from tests.support.table import table


@table(
    ("field", "subject"),
    [
        pytest.param(b"=?utf-8?Q?caf=C3=A9?= caf\xc3\xa9", "café café", id="raw UTF-8 beside"),
        pytest.param(b"=?koi8-r?Q?=C4=C1?= \xc4\xc1", "да да", id="raw octets of the same charset"),
        pytest.param(b"\xc4\xc1 =?koi8-r?Q?=C4=C1?=", "да да", id="raw octets in front"),
        pytest.param(b"=?iso-8859-1?Q?caf\xe9?=", "café", id="raw octets inside"),
        pytest.param(b"=?utf-8?Q?caf\xc3\xa9?=", "café", id="raw UTF-8 inside"),
        pytest.param(b"=?iso-8859-1?Q?caf\xc3\xa9?=", "café", id="raw UTF-8 with a false label"),
        pytest.param(b"=?iso-8859-1?Q?=E9\xe9?=", "éé", id="raw and encoded in one word"),
        pytest.param(b"=?utf-8?B?w6k\xff=?=", "é", id="a raw octet in base64"),
        pytest.param(b"=?utf-8?B?w6\r\n k=?=", "é", id="base64 split by folding"),
        pytest.param(b"=?utf-8?Q?caf=C3\r\n =A9?=", "café", id="a word split by folding"),
        pytest.param(b"=?utf-8?Q?abc?\r\n =", "abc", id="its end split by folding"),
        pytest.param(b"=?utf-\r\n 8?Q?abc?=", "abc", id="its charset split by folding"),
        pytest.param(b"=?utf-8?B?4oK?= =?utf-8?B?s4oKs?=", "€€", id="four digits split in two"),
        pytest.param(b"=?utf-8?B?4oI=?= =?utf-8?Q?=AC?=", "€", id="split between B and Q"),
        pytest.param(b"=?utf-8?Q?a=C?= =?utf-8?Q?3=A9?=", "aé", id="an octet split in two"),
        pytest.param(b"=?utf-8?Q?a=?= =?utf-8?B?w6k=?=", "aé", id="half an octet before base64"),
        pytest.param(b"=?UTF-8?B?4oI=?= =?utf-8?B?rA==?=", "€", id="one charset, two spellings"),
        pytest.param(b"=?utf-8?Q?a?==?utf-8?Q?b?=", "ab", id="nothing between two words"),
        pytest.param(b"x=?utf-8?Q?a?=y", "xay", id="nothing around a word"),
        pytest.param(b"=?utf-8?Q?a?=\tb", "a b", id="a tab behind a word"),
        pytest.param(b"=?utf-8?Q?Really??=", "Really?", id="a question mark at its end"),
        pytest.param(b"=?utf-8?Q?what? no!?=", "what? no!", id="a question mark in it"),
        pytest.param(b"=?utf-8?Q?a?=3D_b?=", "a?= b", id="a question mark before an octet"),
        pytest.param(b'"=?utf-8?Q?a?="', '"a"', id="quotes around a word"),
        pytest.param(b"=?utf-8?q?a_b?= c", "a b c", id="small letters"),
        pytest.param(b"=?utf-8 ?Q?a?=", "=?utf-8 ?Q?a?=", id="a blank in its charset"),
        pytest.param(b"=?utf-8? Q ?a?=", "a", id="blanks around its encoding"),
        pytest.param(b"=?utf-8?B??=", "", id="an empty word"),
        pytest.param(b"=?utf-8?B?w6k?=", "é", id="base64 without its padding"),
        pytest.param(b"=?utf-8?Q?=C3=A?=", "\u00c3=A", id="half an octet"),
        pytest.param(b"=?us-ascii?Q?caf=C3=A9?=", "café", id="UTF-8 that says ASCII"),
        pytest.param(b"=?utf-8?Q?caf=E9?=", "café", id="windows-1252 that says UTF-8"),
        pytest.param(b"=?gb2312?B?6YM=?=", "閮", id="GBK that says GB2312"),
        pytest.param(b"=?x-unknown?Q?=E9?=", "é", id="an unknown charset"),
        pytest.param(b"=??Q?caf=C3=A9?=", "café", id="no charset"),
        pytest.param(b"=??Q?caf\r\n =E9?=", "café", id="no charset, folded"),
        pytest.param(b"=?cp-850?Q?=82?=", "é", id="a charset in another spelling"),
        pytest.param(b"=?iso-2022-jp?B?GyRCRnwbKEI=?=", "日", id="ISO-2022-JP"),
        pytest.param(b"=?iso-2022-jp?B?GyRCLSEbKEI=?=", "①", id="a vendor's character"),
        pytest.param(b"\x1b$BF|\x1b(B", "日", id="ISO-2022-JP without an encoded word"),
        pytest.param(b"Re: \x93\xfa\x96{", "Re: “ú\u2013{", id="raw octets of an unknown charset"),
        pytest.param(b"a\r\n \r\n\tb", "a b", id="a line of blanks in the middle"),
        pytest.param(b"a\r\n  \r\n", "a", id="a line of blanks at the end"),
        pytest.param(
            b"=?utf-8?B?ngHu?=",
            "=?utf-8?B?ngHu?=",
            id="base64 of no text stays as it is",
        ),
        pytest.param(b"=?utf-16be?B?BDQ=?=", "д", id="UTF-16, whose octets look like controls"),
        pytest.param(b"", "", id="nothing"),
        pytest.param(b"=?utf-8?Q?=E2=80=8Ba?=", "\u200ba", id="a mark of no width is kept"),
    ],
)
def test_a_subject(field: bytes, subject: str) -> None:
    assert parse_message(mail(Subject=field)).subject == subject


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param(b"text/plain; charset=koi8-r", b"x", id="of the message"),
        pytest.param(
            b"multipart/mixed; boundary=b",
            b"--b\nContent-Type: text/html; charset=koi8-r\n\nx\n--b--\n",
            id="of its first part",
        ),
    ],
)
def test_raw_octets_are_in_the_charset_of_the_body(kind: bytes, body: bytes) -> None:
    raw = mail(body, Subject=b"\xc4\xc1", From=b"\xc4\xc1 <a@x>", Content_Type=kind)
    message = parse_message(raw)
    assert message.subject == "да"
    assert message.from_.name == "да"
    assert message.headers.get("subject") == "да"


def test_raw_octets_that_are_utf_8_are_that_whatever_the_body_is() -> None:
    raw = mail(Subject="да".encode(), Content_Type=b"text/plain; charset=koi8-r")
    assert parse_message(raw).subject == "да"


@table(
    ("label", "data", "text"),
    [
        pytest.param("windows-874", b"\xa1", "ก", id="windows-874"),
        pytest.param("iso-8859-11", b"\xa1", "ก", id="iso-8859-11"),
        pytest.param("x-mac-cyrillic", b"\x80", "\u0410", id="x-mac-cyrillic"),
        pytest.param("x-mac-roman", b"\x8e", "é", id="x-mac-roman"),
        pytest.param("iso-8859-8-i", b"\xe0", "א", id="iso-8859-8-i"),
        pytest.param("iso-8859-6-e", b"\xc7", "\u0627", id="iso-8859-6-e"),
        pytest.param("cp-850", b"\x82", "é", id="cp-850"),
        pytest.param("IBM850", b"\x82", "é", id="IBM850"),
        pytest.param("dos-862", b"\x80", "א", id="dos-862"),
        pytest.param("win-1251", b"\xe4", "д", id="win-1251"),
        pytest.param("x-cp1251", b"\xe4", "д", id="x-cp1251"),
        pytest.param("cp65001", b"\xc3\xa9", "é", id="cp65001"),
        pytest.param("iso8859_15", b"\xa4", "€", id="iso8859_15"),
        pytest.param("8859-1", b"\xe9", "é", id="8859-1"),
        pytest.param("ISO_8859-1:1987", b"\xe9", "é", id="the long name of iso-8859-1"),
        pytest.param("ANSI_X3.4-1968", b"a", "a", id="the long name of ASCII"),
        pytest.param('"koi8-r"', b"\xc4", "д", id="in quotes"),
        pytest.param("'koi8-r'", b"\xc4", "д", id="in single quotes"),
        pytest.param("koi8-r (Cyrillic)", b"\xc4", "д", id="with a comment"),
        pytest.param("koi8-r;", b"\xc4", "д", id="with a semicolon"),
        pytest.param("unicode-1-1-utf-7", b"+AOk-", "é", id="unicode-1-1-utf-7"),
        pytest.param("utf-16", b"plain", "plain", id="ASCII that says utf-16"),
        pytest.param("utf-16le", "é".encode("utf-16le"), "é", id="utf-16le"),
        pytest.param("utf-8", "é".encode("utf-16"), "é", id="utf-16 that says utf-8"),
        pytest.param("gb2312", "镕".encode("gbk"), "镕", id="gbk that says gb2312"),
        pytest.param("gb2312", b"it\x92s \x93so\x94", "it’s “so”", id="marks that say gb2312"),
        pytest.param("gb2312", b"it\x92s \xc8\xd5", "it抯 日", id="gbk with a rare character"),
        pytest.param("utf-16le", b"a\0 ", "a", id="half a character behind utf-16"),
        pytest.param("gb2312", "é镕".encode(), "é镕", id="utf-8 that says gb2312"),
        pytest.param("big5", "碁".encode("cp950"), "碁", id="an extension of big5"),
        pytest.param("euc-kr", "똠".encode("cp949"), "똠", id="cp949 that says euc-kr"),
        pytest.param("ks_c_5601-1987", "한".encode("cp949"), "한", id="ks_c_5601-1987"),
        pytest.param("shift_jis", "①".encode("cp932"), "①", id="cp932 that says shift_jis"),
        pytest.param("iso-2022-jp", b"\x1b$B-!-j\x1b(B", "①㈱", id="vendors' characters"),
        pytest.param("iso-2022-jp", b"\x1b(I1\x1b(B", "ｱ", id="half-width katakana"),
        pytest.param("iso-2022-jp", b"\x1b$BF|", "日", id="without the last escape"),
        pytest.param("iso-2022-jp", b"\x1b$BF|\nabc", "日\nabc", id="a line end brings ASCII back"),
        pytest.param("iso-2022-jp", "日本".encode("cp932"), "日本", id="shift_jis that says so"),
        pytest.param("cp50221", b"\x1b$BF|\x1b(B", "日", id="cp50221"),
        pytest.param("us-ascii", b"\x1b$BF|\x1b(B", "日", id="iso-2022-jp that says ASCII"),
        pytest.param("utf-8", b"caf\xe9", "café", id="latin-1 that says utf-8"),
        pytest.param("utf-8", b"caf\xc3\xa9 \xff", "café \ufffd", id="damaged utf-8"),
        pytest.param("utf-8", b"abc \xe2\x82", "abc \ufffd", id="utf-8 that was cut off"),
        pytest.param("x-user-defined", b"caf\xc3\xa9", "café", id="x-user-defined"),
        pytest.param("unknown-8bit", b"caf\xe9", "café", id="unknown-8bit"),
        pytest.param("", b"caf\xe9", "café", id="none"),
    ],
)
def test_a_charset_as_mail_names_it(label: str, data: bytes, text: str) -> None:
    kind = f"text/plain; charset={label}" if label else "text/plain"
    assert parse_message(mail(data, Content_Type=kind.encode())).text == text


def test_text_of_no_charset_is_in_that_of_the_subject() -> None:
    raw = mail(b"\xc4\xc1", Subject=b"=?koi8-r?Q?=C4=C1?=", Content_Type=b"text/plain")
    assert parse_message(raw).text == "да"
    raw = mail("да".encode(), Subject=b"=?koi8-r?Q?=C4=C1?=", Content_Type=b"text/plain")
    assert parse_message(raw).text == "да"


def test_the_page_says_its_charset_where_the_header_cannot_be_right() -> None:
    html = b'<meta charset="koi8-r">\xc4\xc1'
    for label in (b"", b"; charset=us-ascii", b"; charset=unknown"):
        raw = mail(html, Content_Type=b"text/html" + label)
        assert parse_message(raw).text == "да"
    raw = mail(html, Content_Type=b"text/html; charset=windows-1251")
    assert parse_message(raw).text == "ДБ"
