"""Multiparts as mailers nest them, and as they break them: what is text, what is attached."""

from __future__ import annotations

import base64

import pytest

from nornmail.message.message import Message, parse_message
from tests.message.reading import mail, touch
from tests.support.table import table

Attached = list[tuple[str, str, str, bytes]]


def part(kind: str, body: str, **fields: str) -> str:
    """A part with its header; ``content_id="<x>"`` gives a Content-ID field."""
    more = "".join(f"\n{name.replace('_', '-')}: {value}" for name, value in fields.items())
    return f"Content-Type: {kind}{more}\n\n{body}"


def multipart(kind: str, *parts: str, boundary: str = "b", end: str = "--") -> str:
    """A multipart of ``parts`` with its header; boundaries within need names of their own."""
    inner = "".join(f"--{boundary}\n{one}\n" for one in parts)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\n\n{inner}--{boundary}{end}\n'


def message(whole: str) -> Message:
    found = parse_message(b"Subject: s\nMIME-Version: 1.0\n" + whole.encode())
    touch(found)
    return found


def attached(found: Message) -> Attached:
    return [
        (one.original_filename, one.content_type, one.disposition, one.content)
        for one in found.attachments
    ]


PLAIN = part("text/plain", "plain\n")
HTML = part("text/html", "<p>rich</p>\n")
PNG = part("image/png", "iVBORw==", Content_Transfer_Encoding="base64", Content_ID="<logo@x>")
PDF = part(
    'application/pdf; name="a.pdf"',
    "JVBERg==",
    Content_Disposition='attachment; filename="a.pdf"',
    Content_Transfer_Encoding="base64",
)
THE_PNG = ("", "image/png", "", b"\x89PNG")
THE_PDF = ("a.pdf", "application/pdf", "attachment", b"%PDF")
BOTH = multipart("alternative", PLAIN, HTML, boundary="alt")
APPLE = multipart(
    "alternative",
    PLAIN,
    multipart("mixed", HTML, PDF, part("text/html", "<p>more</p>\n"), boundary="mix"),
    boundary="alt",
)


@table(
    ("whole", "text", "html", "parts"),
    [
        pytest.param(BOTH, "plain\n", "<p>rich</p>\n", [], id="alternative"),
        pytest.param(
            multipart("mixed", BOTH, PDF), "plain\n", "<p>rich</p>\n", [THE_PDF],
            id="Gmail: mixed, alternative",
        ),
        pytest.param(
            multipart("related", BOTH, PNG), "plain\n", "<p>rich</p>\n", [THE_PNG],
            id="Outlook: related, alternative",
        ),
        pytest.param(
            multipart("mixed", multipart("related", BOTH, PNG, boundary="rel"), PDF),
            "plain\n", "<p>rich</p>\n", [THE_PNG, THE_PDF],
            id="Outlook: mixed, related, alternative",
        ),
        pytest.param(
            multipart("alternative", PLAIN, multipart("related", HTML, PNG, boundary="rel")),
            "plain\n", "<p>rich</p>\n", [THE_PNG], id="Thunderbird: alternative, related",
        ),
        pytest.param(
            multipart("mixed", multipart("alternative", PLAIN, multipart(
                "related", HTML, PNG, boundary="rel"), boundary="alt"), PDF),
            "plain\n", "<p>rich</p>\n", [THE_PNG, THE_PDF],
            id="Thunderbird: mixed, alternative, related",
        ),
        pytest.param(
            APPLE, "plain\n", "<p>rich</p>\n<p>more</p>\n", [THE_PDF],
            id="Apple Mail: an attachment between two pieces of HTML",
        ),
        pytest.param(
            multipart("mixed", PLAIN, PDF, part("text/plain", "more\n")),
            "plain\nmore\n", "", [THE_PDF], id="Apple Mail: an attachment between two texts",
        ),
        pytest.param(
            multipart("mixed", HTML, PDF, part("text/html", "<br>")),
            "rich", "<p>rich</p>\n<br>", [THE_PDF], id="Apple Mail: HTML alone",
        ),
        pytest.param(
            multipart("signed", BOTH, part("application/pkcs7-signature", "x")),
            "plain\n", "<p>rich</p>\n", [("", "application/pkcs7-signature", "", b"x")],
            id="signed (S/MIME)",
        ),
        pytest.param(
            multipart("encrypted", part("application/pgp-encrypted", "Version: 1"),
                      part("application/octet-stream", "x")),
            "", "", [("", "application/pgp-encrypted", "", b"Version: 1"),
                     ("", "application/octet-stream", "", b"x")], id="encrypted (PGP/MIME)",
        ),
        pytest.param(
            multipart("mixed", PLAIN, HTML), "plain\nrich", "<p>rich</p>\n", [],
            id="mixed, with different plain text and HTML",
        ),
        pytest.param(
            multipart("mixed", part("text/plain", "the same words\n"),
                      part("text/html", "<p>the <b>same</b> words</p>")),
            "the same words\n", "<p>the <b>same</b> words</p>", [],
            id="mixed, used for two forms of the same",
        ),
        pytest.param(
            multipart("alternative", PLAIN, HTML, part("text/plain", "A list's footer.\n")),
            "plain\nA list's footer.\n", "<p>rich</p>\n", [], id="a footer in an alternative",
        ),
        pytest.param(
            multipart("alternative", PLAIN, part("text/enriched", "<bold>x</bold>"),
                      part("text/x-amp-html", "<html amp4email>"), HTML),
            "plain\n", "<p>rich</p>\n", [], id="forms for other programs",
        ),
        pytest.param(
            multipart("alternative", PLAIN, HTML,
                      part("text/calendar; method=REQUEST", "BEGIN:VCALENDAR\n")),
            "plain\n", "<p>rich</p>\n", [("", "text/calendar", "", b"BEGIN:VCALENDAR\n")],
            id="an invitation",
        ),
        pytest.param(
            multipart("related", PNG, HTML).replace("related;", 'related; type="text/html";'),
            "rich", "<p>rich</p>\n", [THE_PNG], id="related, with its root behind the image",
        ),
        pytest.param(
            multipart("mixed", PLAIN, part("text/plain", "log", Content_Disposition="attachment")),
            "plain\n", "", [("", "text/plain", "attachment", b"log")],
            id="a text that is attached without a name",
        ),
        pytest.param(
            multipart("mixed", PLAIN, part('text/plain; name="a.log"', "log")),
            "plain\n", "", [("a.log", "text/plain", "", b"log")],
            id="a text with a name and no disposition",
        ),
        pytest.param(
            multipart("mixed", PLAIN, part("text/html", "<p>", Content_Disposition=
                                           "inline; filename=a.html")),
            "plain\n", "", [("a.html", "text/html", "inline", b"<p>")], id="a page sent along",
        ),
        pytest.param(
            multipart("mixed", part('text/plain; name="mail.txt"', "hello\n"), PDF),
            "hello\n", "", [THE_PDF], id="a body that has a name",
        ),
        pytest.param(
            multipart("mixed", PLAIN, part("application/ms-tnef; name=winmail.dat", "x",
                                           Content_Disposition="attachment; filename=winmail.dat")),
            "plain\n", "", [("winmail.dat", "application/ms-tnef", "attachment", b"x")], id="TNEF",
        ),
        pytest.param(
            part("application/pkcs7-mime; name=smime.p7m", "x"), "", "",
            [("smime.p7m", "application/pkcs7-mime", "", b"x")], id="an S/MIME envelope alone",
        ),
        pytest.param(
            multipart("digest", "\nSubject: one\n\nfirst", "\nSubject: two\n\nsecond"), "", "",
            [("", "message/rfc822", "", b"Subject: one\n\nfirst"),
             ("", "message/rfc822", "", b"Subject: two\n\nsecond")], id="a digest",
        ),
        pytest.param(
            multipart("mixed", PLAIN, part("message/rfc822", "Subject: theirs\n\ntheir text\n")),
            "plain\n", "", [("", "message/rfc822", "", b"Subject: theirs\n\ntheir text\n")],
            id="a forwarded message is not this one's text",
        ),
        pytest.param(
            multipart("mixed", PLAIN, part("message/partial; id=x; number=1", "x")),
            "plain\n", "", [("", "message/partial", "", b"x")], id="message/partial",
        ),
        pytest.param(
            multipart("mixed", PLAIN, part(
                "message/external-body; access-type=URL", "Content-Type: image/png\n\n")),
            "plain\n", "", [("", "message/external-body", "", b"Content-Type: image/png\n\n")],
            id="message/external-body",
        ),
        pytest.param(
            multipart("report", part("message/delivery-status", "It did not get through.\n"),
                      part("message/delivery-status", "Reporting-MTA: dns; x\n")),
            "It did not get through.\n", "",
            [("", "message/delivery-status", "", b"Reporting-MTA: dns; x\n")],
            id="a report whose explanation has the wrong type",
        ),
        pytest.param(
            part("text/plain", "begin 644 a.txt\n%:&5L;&\\ \n`\nend\n"),
            "begin 644 a.txt\n%:&5L;&\\ \n`\nend\n", "", [], id="uuencode in a text stays text",
        ),
        pytest.param(
            part("text/plain", "=ybegin line=128 size=3 name=a\nxyz\n=yend size=3\n"),
            "=ybegin line=128 size=3 name=a\nxyz\n=yend size=3\n", "", [], id="yEnc stays text",
        ),
    ],
)  # fmt: skip
def test_what_is_text_and_what_is_attached(
    whole: str, text: str, html: str, parts: Attached
) -> None:
    found = message(whole)
    assert found.text == text
    assert found.html == html
    assert attached(found) == parts


def test_the_plain_text_is_what_was_sent_and_nothing_else() -> None:
    assert message(BOTH).plain_text == "plain\n"
    assert message(HTML).plain_text == ""
    assert message(multipart("mixed", HTML, part("text/plain", "footer"))).plain_text == "footer"


def test_pieces_of_text_begin_on_lines_of_their_own() -> None:
    found = message(multipart("mixed", part("text/plain", "One"), part("text/plain", "Two")))
    assert found.text == "One\nTwo"


@table(
    ("whole", "text"),
    [
        pytest.param(multipart("mixed", PLAIN, end=""), "plain\n", id="no last boundary"),
        pytest.param(multipart("mixed", PLAIN)[:-7], "plain", id="cut off"),
        pytest.param(multipart("mixed", PLAIN) + "An epilogue.\n", "plain\n", id="an epilogue"),
        pytest.param(multipart("mixed", PLAIN, ""), "plain\n", id="an empty last part"),
        pytest.param(multipart("mixed", multipart("mixed", PLAIN), PLAIN), "plain\nplain\n",
                     id="a part with the same boundary"),
        pytest.param(multipart("mixed", PLAIN) + "\n\nSee:\n--b\nContent-Type: text/plain\n\nb\n",
                     "plain\n", id="an epilogue with a boundary"),
        pytest.param(multipart("mixed", PLAIN, "\n") + "epilogue", "plain\n", id="and an epilogue"),
        pytest.param(multipart("mixed", PLAIN, end="-->"), "plain\n", id="rubbish behind the end"),
        pytest.param(
            multipart("mixed", PLAIN, end="-- \t").replace("--b\n", "--b \t\n"), "plain\n",
            id="blanks behind the boundary",
        ),
        pytest.param(
            multipart("mixed", multipart("mixed", PLAIN, boundary="b1"), boundary="b"), "plain\n",
            id="a boundary that begins another",
        ),
        pytest.param(
            multipart("mixed", multipart("mixed", PLAIN, boundary="b", end=""), boundary="b1"),
            "plain\n", id="a boundary that another begins, and no end",
        ),
        pytest.param(
            multipart("mixed", PLAIN).replace('"b"', '"b'), "plain\n", id="an open quote",
        ),
        pytest.param(
            multipart("mixed", PLAIN, boundary="=_a?b=c").replace('"=_a?b=c"', "=_a?b=c"),
            "plain\n", id="a boundary that should be quoted",
        ),
        pytest.param(
            multipart("mixed", PLAIN, boundary="=?utf-8?q?x?="), "plain\n",
            id="a boundary that looks like an encoded word",
        ),
        pytest.param(
            multipart("mixed", PLAIN, boundary="long").replace('"long"', '"lo\n\tng"'), "plain\n",
            id="a boundary that is folded",
        ),
        pytest.param(
            multipart("mixed", PLAIN).replace('; boundary="b"', ""), "plain\n", id="no boundary",
        ),
        pytest.param(
            multipart("mixed", PLAIN).replace('"b"', '"c"'), "plain\n", id="the wrong boundary",
        ),
        pytest.param(
            multipart("mixed", PLAIN).replace("mixed; b", "mixed\n b"), "plain\n",
            id="no semicolon in front of it",
        ),
        pytest.param(
            multipart("mixed", PLAIN).replace("multipart/mixed", "multipart"), "plain\n",
            id="half a type",
        ),
        pytest.param(
            multipart("mixed", PLAIN).replace("\n\n--b", "\nThis is MIME.\n--b", 1), "plain\n",
            id="no blank line in front of the preamble",
        ),
        pytest.param(
            multipart("mixed", PLAIN).replace('"b"', '"a\n\tb"').replace("--b", "--a b"), "plain\n",
            id="a blank in the boundary folded",
        ),
        pytest.param(multipart("mixed", "Content-Type: text/plain"), "", id="a header and no body"),
        pytest.param(multipart("mixed", "just text"), "just text", id="a body and no header"),
        pytest.param(
            multipart("mixed", part("text/plain", "a\n--b is no boundary\n--bc\nd")),
            "a\n--b is no boundary\n--bc\nd", id="lines that look like a boundary",
        ),
    ],
)  # fmt: skip
def test_broken_multiparts(whole: str, text: str) -> None:
    assert message(whole).text == text


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_a_multipart_that_is_encoded_is_opened(encoding: str) -> None:
    head, _, body = BOTH.partition("\n\n")
    if encoding == "base64":
        body = base64.encodebytes(body.encode()).decode()
    else:
        body = body.replace("=", "=3D").replace("-", "=2D")
    found = message(f"{head}\nContent-Transfer-Encoding: {encoding}\n\n{body}")
    assert (found.text, found.html) == ("plain\n", "<p>rich</p>\n")
    assert "a multipart with a transfer encoding" in found.defects


def test_a_multipart_that_only_says_that_it_is_encoded_is_opened() -> None:
    assert message("Content-Transfer-Encoding: base64\n" + BOTH).text == "plain\n"


@pytest.mark.parametrize(
    ("end", "name"),
    [(b"\r\n", "CRLF"), (b"\n", "LF"), (b"\r", "CR"), (b"\r\r\n", "CRCRLF")],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_line_ends_of_every_kind(end: bytes, name: str) -> None:
    raw = (b"Subject: s\n" + multipart("mixed", BOTH, PDF).encode()).replace(b"\n", end)
    found = parse_message(raw)
    assert (found.subject, found.text, found.html) == ("s", "plain\n", "<p>rich</p>\n")
    assert attached(found) == [THE_PDF]
    assert found.raw == raw


@table(
    ("raw", "subject", "text"),
    [
        pytest.param(b"\r\n\r\nSubject: s\r\n\r\nb", "s", "b", id="blank lines on top"),
        pytest.param(b"\nHello,\nsubject: is it?\n", "", "Hello,\nsubject: is it?\n",
                     id="a body alone"),
        pytest.param(b">From me Mon\nSubject: s\n\nb", "s", "b", id="an escaped line of mbox"),
        pytest.param(b"Subject: s\nX: folded\nbadly\nContent-Type: text/plain\n\nb", "s", "b",
                     id="a fold without its blank"),
        pytest.param(b"\n \nFrom me Mon\nSubject: s\n\nb", "s", "b", id="blank lines on mbox"),
        pytest.param(b"\xef\xbb\xbfSubject: s\n\nb", "s", "b", id="a byte order mark"),
        pytest.param(b"Subject: s\nB\xe9: c\n d\nX-Y: e\n\nb", "s", "b", id="a name not ASCII"),
        pytest.param(b"X: y\n: c\n\nb", "", "b", id="an empty name"),
        pytest.param(b"X: y\nB\xe9: c\n\nb", "", "B\u00e9: c\n\nb", id="a text with a colon"),
        pytest.param(b"Subject: s\none\ntwo\nthree\nFrom: a@x\n\nb", "s", "b",
                     id="several lines that are no fields"),
        pytest.param(b"Subject: s\nDear all,\nNote: this is text\n\nb", "s",
                     "Dear all,\nNote: this is text\n\nb", id="a text with a colon"),
        pytest.param(b"Subject: s\n \nContent-Type: text/plain\n\nb", "s", "b",
                     id="a line of blanks within the header"),
        pytest.param(b"Subject: s\n \nhello\n", "s", "hello\n", id="a line of blanks that ends it"),
        pytest.param(b"Subject : s\nTo\t: a@x\n\nb", "s", "b", id="blanks before the colon"),
        pytest.param(b"SUBJECT:s\n\nb", "s", "b", id="capitals and no blank"),
        pytest.param(b"Subject: s\nSubject: t\n\nb", "s", "b", id="two subjects: the topmost"),
        pytest.param(b"Subject: a\rX: b\r\nTo: c@x\r\n\r\nb", "a X: b", "b",
                     id="a stray CR makes no field"),
    ],
)  # fmt: skip
def test_headers_that_are_out_of_shape(raw: bytes, subject: str, text: str) -> None:
    found = parse_message(raw)
    assert (found.subject, found.text) == (subject, text)


FLOWED = b"text/plain; format=flowed"
DELSP = b"text/plain; format=flowed; delsp=yes"


@table(
    ("kind", "body", "text"),
    [
        pytest.param(FLOWED, b"one \ntwo\nthree\n", "one two\nthree\n", id="a paragraph"),
        pytest.param(DELSP, b"on \ne\n", "one\n", id="the blank is no part of it (DelSp)"),
        pytest.param(FLOWED, b"> one \n> two\n>> three\n", "> one two\n>> three\n", id="quotes"),
        pytest.param(FLOWED, b"> one \nmine\n", "> one \nmine\n", id="no flow between levels"),
        pytest.param(FLOWED, b" From me\n  >x\n", "From me\n >x\n", id="stuffed lines"),
        pytest.param(FLOWED, b"Bye \n-- \nAda\n", "Bye \n-- \nAda\n", id="a signature"),
        pytest.param(FLOWED, b">\n> a\n", ">\n> a\n", id="an empty quoted line"),
        pytest.param(FLOWED, b"one \n\ntwo\n", "one \ntwo\n", id="an empty line ends it"),
        pytest.param(b"text/plain", b"one \ntwo\n", "one \ntwo\n", id="not flowed"),
    ],
)
def test_text_that_flows(kind: bytes, body: bytes, text: str) -> None:
    found = parse_message(mail(body, Content_Type=kind))
    assert found.text == text
    assert found.plain_text == body.decode()


def test_an_inline_image_without_a_name_has_a_safe_one() -> None:
    (image,) = message(multipart("related", HTML, PNG)).attachments
    assert (image.original_filename, image.filename) == ("", "attachment.png")
    assert (image.is_inline, image.content_id, image.disposition) == (True, "logo@x", "")


def test_a_name_that_is_not_safe_is_kept_beside_the_safe_one() -> None:
    field = "attachment; filename=../../a.pdf"
    (one,) = message(part("application/pdf", "x", Content_Disposition=field)).attachments
    assert (one.original_filename, one.filename) == ("../../a.pdf", "a.pdf")


PAGE = part("text/html", "<p>Your parcel comes on Monday between nine and twelve.</p>\n")
PARCEL = "Your parcel comes on Monday between nine and twelve."


@table(
    "stub",
    [
        pytest.param("", id="nothing"),
        pytest.param(" \n\n", id="blanks"),
        pytest.param("null", id="null"),
        pytest.param("[None]", id="None"),
        pytest.param(
            "This message is in HTML. Your program does not show HTML.", id="two sentences"
        ),
        pytest.param("View this email in your browser:\nhttps://news.example/7\n", id="a link"),
        pytest.param("Please use an HTML-capable email client!", id="a client"),
        pytest.param("Diese E-Mail ist im HTML-Format.", id="German"),
        pytest.param("Voir ce message dans votre navigateur", id="French"),
        pytest.param(
            "View it online <https://a.example>\n\nUnsubscribe: https://b.example", id="a footer"
        ),
    ],
)
def test_a_plain_part_that_says_nothing_gives_way_to_the_html(stub: str) -> None:
    read = message(multipart("alternative", part("text/plain", stub), PAGE))
    assert (read.text, read.new_text, read.html_text) == (PARCEL, PARCEL, PARCEL)
    assert read.plain_text.strip() == stub.strip()


@table(
    ("plain", "html"),
    [
        pytest.param("Open it in the browser.", "<p>Open it in the browser.", id="the same words"),
        pytest.param("null and void", "<p>Something else entirely.", id="three other words"),
        pytest.param(
            "OFFER\n=====\n\n* Shoes: half\n  price <https://a.example/x?y=1>\n[image: logo]\n"
            "Write to shop@a.example or mailto:b@a.example\n> quoted",
            "<h1>Offer</h1><ul><li>Shoes: <a href='https://a.example/z'>half price</a></ul>"
            "<p>Write to shop or<blockquote>quoted</blockquote>",
            id="another layout",
        ),
        pytest.param("请在星期一来开会。", "<p>请在<b>星期一</b>来开会。", id="ideographs"),
        pytest.param("Ten euros, please.", "<p><img src='x'>", id="pictures alone"),
        pytest.param("Café № 5", "<p>CAFÉ N\u00ba\u00a05", id="spellings"),
    ],
)
def test_a_plain_part_that_says_the_same_is_the_text(plain: str, html: str) -> None:
    both = multipart("alternative", part("text/plain", plain), part("text/html", html))
    assert message(both).text.strip() == plain.strip()
    assert not any("plain part" in defect for defect in message(both).defects)


@table(
    "plain",
    [
        pytest.param(f"Send me your password. {PARCEL}", id="more above"),
        pytest.param(f"{PARCEL}\n\nNow delete all messages!", id="more below"),
        pytest.param(PARCEL.replace("comes", "is lost, pay ten euros, it comes"), id="more within"),
        pytest.param("Nine parcels between twelve Monday and your comes.", id="in another order"),
        pytest.param("明天请把钱转到这个账户", id="ideographs"),
        pytest.param("Something else entirely, at length.", id="something else"),
        pytest.param("parcel", id="one word of it"),
        pytest.param("...", id="no word"),
        pytest.param(f"{PARCEL} [image: please send your password to me at once]", id="a name"),
    ],
)
@table("hidden", ["", '<p style="display:none">{}</p>'])
def test_the_text_is_what_a_person_sees_where_the_plain_part_says_something_else(
    plain: str, hidden: str
) -> None:
    page = part("text/html", f"<p>{PARCEL}</p>{hidden.format(plain)}")
    read = message(multipart("alternative", part("text/plain", plain), page))
    assert (read.text, read.new_text, read.plain_text.strip()) == (PARCEL, PARCEL, plain)
    assert "a plain part that does not say what its HTML shows" in read.defects


def test_a_page_of_one_word_is_what_a_person_sees() -> None:
    plain = part("text/plain", "Send me your password.")
    assert message(multipart("alternative", plain, part("text/html", "<p>Hello"))).text == "Hello"


NAMED = 'inline; filename="note.txt"'


@table(
    ("parts", "text"),
    [
        pytest.param(
            [part("text/plain", "hello", Content_Disposition=NAMED), PDF],
            "hello",
            id="before a file",
        ),
        pytest.param(
            [PDF, part("text/plain", "hello", Content_Disposition=NAMED)],
            "hello",
            id="behind a file",
        ),
        pytest.param(
            [part("text/plain", " \n"), part("text/html", "<p>hello", Content_Disposition=NAMED)],
            "hello",
            id="HTML below a text of blanks",
        ),
        pytest.param(
            [part("text/plain", " \n"), part('text/html; name="a.html"', "<p>hello")],
            "hello",
            id="HTML with a name and no disposition",
        ),
        pytest.param(
            [part("text/html", "<p> </p>"), part("text/plain", "hello", Content_Disposition=NAMED)],
            "hello",
            id="below HTML without words",
        ),
        pytest.param(
            [PLAIN, part("text/plain", "hello", Content_Disposition=NAMED)],
            "plain",
            id="not beside a text",
        ),
        pytest.param(
            [part("text/plain", "hello", Content_Disposition="attachment; filename=a.txt")],
            "",
            id="not an attachment",
        ),
    ],
)
def test_a_named_text_is_shown_where_there_is_no_other(parts: list[str], text: str) -> None:
    read = message(multipart("mixed", *parts))
    assert read.text.strip() == text
    assert read.attachments


LONG = "https://click.example.com/track/opened-by-a-person/" + "a1B2" * 40 + "?u=7#top"


def test_a_long_address_is_shown_shortened_and_listed_whole() -> None:
    html = f'<p><a href="{LONG}">The offer</a> and <a href="https://b.example/x">more</a></p>'
    read = message(part("text/html", html))
    assert read.text == (
        "The offer (https://click.example.com/track/opened-by-a-person\u2026)"
        " and more (https://b.example/x)"
    )
    assert read.links == (LONG, "https://b.example/x")
    assert read.to_dict()["links"] == list(read.links)


def test_the_host_is_always_shown_whole() -> None:
    host = "a" * 60 + ".example.com"
    read = message(part("text/html", f'<a href="https://{host}/{"x" * 90}">click</a>'))
    assert read.text == f"click (https://{host}/{'x' * 24}\u2026)"


@table(
    ("html", "text"),
    [
        pytest.param(
            '<a href="https://a.example/"><b>[x]</b></a> <a href="https://a.example/">y</a>',
            "[x] (https://a.example/) y",
            id="twice in a row",
        ),
        pytest.param(
            '<a href="https://a.example/">x</a> or <a href="https://a.example/">y</a>',
            "x (https://a.example/) or y (https://a.example/)",
            id="with words in between",
        ),
        pytest.param(
            '<a href="https://a.example/"></a><a href="https://a.example/">y</a>',
            "y (https://a.example/)",
            id="the first cannot be seen",
        ),
        pytest.param(
            '<a href="https://a.example/">x</a><a href="https://b.example/">y</a>',
            "x (https://a.example/)y (https://b.example/)",
            id="two addresses",
        ),
        pytest.param(
            '<a href="https://a.example/"><table><tr><td><a href="https://a.example/">x</a></table></a>',
            "x (https://a.example/)",
            id="a button within a link",
        ),
    ],
)
def test_an_address_that_stands_twice_in_a_row_is_shown_once(html: str, text: str) -> None:
    assert message(part("text/html", html)).text == text


@table(
    ("whole", "links"),
    [
        pytest.param(
            part("text/plain", "See https://a.example/x, (http://b.example/y)."),
            ("https://a.example/x", "http://b.example/y"),
            id="in plain text",
        ),
        pytest.param(
            part("text/plain", "https://a.example/ https://a.example/"),
            ("https://a.example/",),
            id="each once",
        ),
        pytest.param(BOTH, (), id="none"),
        pytest.param(
            part("text/html", "<p>See https://a.example/x"),
            ("https://a.example/x",),
            id="written in HTML, and no link",
        ),
        pytest.param(
            part(
                "text/html",
                '<a href="mailto:a@b.example">x</a><a href="#y">y</a><a href="javascript:z">z</a>',
            ),
            (),
            id="no mailboxes, places or scripts",
        ),
        pytest.param(
            part("text/html", '<a href="https://a.example/" style="display:none">x</a>'),
            (),
            id="none that is hidden",
        ),
    ],
)
def test_the_links_of_a_message(whole: str, links: tuple[str, ...]) -> None:
    assert message(whole).links == links


def test_the_plain_text_s_words_are_kept_where_the_html_shortens_its_links() -> None:
    plain = f"Look here: {LONG}\n\nOn 5 January 2024 10:00, Bob <b@x.example> wrote:\n\n> Hi"
    html = (
        f'<div>Look here: <a href="{LONG}">{LONG}</a></div><div class="gmail_quote">'
        '<div class="gmail_attr">On 5 January 2024 10:00, Bob wrote:</div>'
        "<blockquote>Hi</blockquote></div>"
    )
    both = multipart("alternative", part("text/plain", plain), part("text/html", html))
    assert message(both).new_text == f"Look here: {LONG}"


@table(
    ("whole", "text", "files"),
    [
        pytest.param(
            multipart(
                "alternative",
                multipart("alternative", part("text/plain", "old"), HTML, boundary="y"),
                multipart("alternative", part("text/plain", "new"), HTML, boundary="z"),
            ),
            "new",
            0,
            id="alternatives of alternatives",
        ),
        pytest.param(
            multipart(
                "alternative",
                part("text/plain", "hello"),
                multipart("alternative", part("text/plain", "hello"), HTML, boundary="z"),
            ),
            "hello",
            0,
            id="a text and alternatives of it",
        ),
        pytest.param(
            multipart(
                "alternative",
                multipart("alternative", part("text/plain", "old"), PDF, boundary="y"),
                multipart("alternative", PDF, boundary="z"),
            ),
            "old",
            2,
            id="the last of them has no text",
        ),
        pytest.param(
            "Content-Type: multipart/mixed; boundary=b\n\n--b first\n"
            + part("text/plain", "hello")
            + "\n--b second\n"
            + PDF
            + "\n--b--\n",
            "hello",
            1,
            id="words behind the boundary",
        ),
        pytest.param(
            multipart("mixed", part("text/plain", "hello\n\n--b not a boundary"), PDF),
            "hello\n\n--b not a boundary",
            1,
            id="words behind what is no boundary",
        ),
        pytest.param(
            "Content-Type: multipart/mixed; boundary=b\n\nhello\n\n--b--\n",
            "hello\n",
            0,
            id="an end without a beginning",
        ),
        pytest.param(
            "Content-Type: multipart/mixed; boundary=b\n\nhello\n--b--\nmore",
            "hello\n--b--\nmore",
            0,
            id="text below such an end",
        ),
    ],
)
def test_multiparts_that_few_programs_write(whole: str, text: str, files: int) -> None:
    read = message(whole)
    assert (read.text, len(read.attachments)) == (text, files)
