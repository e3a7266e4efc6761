"""A message's text, HTML and attachments among its parts (RFC 2046, 2387, 3676). Total.

A plain part that does not say what a person sees of its HTML is not an alternative of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final

from nornmail.defects import Note, ignore
from nornmail.html.invisible_characters import plain_without_invisible
from nornmail.message.charsets import codec_of, decode
from nornmail.message.limits import MAX_FLOWED_LINES, MAX_WRITTEN_LINKS
from nornmail.message.parser import Part, content_id

if TYPE_CHECKING:
    from nornmail.html.document import VisibleText
    from nornmail.html.render import UnseenText

_FLOWED_LINE = re.compile(r"(>*+)( ?+)([^\n]*+)(\n|\Z)")
_SIGNATURE: Final = "-- "
_PIECES_AT_A_TIME: Final = 4_096
"""Pieces that are held at a time: a piece of three characters takes fifty octets."""

_META_CHARSET = re.compile(
    rb"<meta\s[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.I
)
_META_OCTETS: Final = 4_096
"""Octets of HTML in which a charset is looked for; browsers take 1,024."""
_SAY_NOTHING: Final = (None, "ascii")
"""A charset that is missing or unknown, or that cannot be true of 8-bit text."""
_WIDE = re.compile("16|32|ucs", re.IGNORECASE)
_WORDS = re.compile(r"\w{3,}")
_TAG = re.compile(r"<[^<>]{0,2000}>")
_URL = re.compile(r"://[^\s<>\"]{1,8000}")
_SCHEMES: Final = ("https", "http", "ftp")
_URL_END = re.compile(r"[.,;:!?'*_\])}]{1,20}\Z")
_LINK = re.compile(r"\((?:https?|mailto):[^)\s]*\)")
_NEW_WORDS: Final = 0.03
"""The share of new words up to which a second text is the first one again."""
_FORMS_NOT_SHOWN: Final = frozenset(
    {"text/enriched", "text/richtext", "text/x-amp-html", "text/watch-html", "text/x-aol"}
)
"""Alternatives for certain programs only; they are neither shown nor attachments."""


@dataclass(slots=True)
class Segment:
    """A stretch of the body, as plain text, as HTML, or as both."""

    plain: Part | None = None
    html: list[Part] = field(default_factory=list)


class Body:
    """The shown segments of a message, in order, and its attachments."""

    def __init__(self, note: Note = ignore) -> None:
        self.segments: list[Segment] = []
        self.attached: list[tuple[Part, bool]] = []
        self._note = note
        self._pages: dict[Part, VisibleText] = {}
        self._texts: dict[Part, str] = {}

    def plain_text(self) -> str:
        """The plain text as it was sent, part after part, each beginning on a line of its own."""
        return _joined(self._text_of(segment.plain) for segment in self.segments if segment.plain)

    def html(self) -> str:
        """All the HTML, part after part."""
        return _joined(map(self._text_of, self._html_parts()))

    def html_text(self) -> str:
        """The text that a person sees of the HTML, part after part."""
        return _joined(page.text for page in self._shown_pages())

    def unseen_text(self) -> tuple[UnseenText, ...]:
        """The texts of the HTML that a person does not see, part after part."""
        return tuple(text for page in self._shown_pages() for text in page.unseen)

    def links(self) -> tuple[str, ...]:
        """The addresses of all links: those seen in HTML, else those written in the text."""
        links = dict.fromkeys(link for page in self._shown_pages() for link in page.links)
        return tuple(links or dict.fromkeys(islice(_written_links(self.text()), MAX_WRITTEN_LINKS)))

    def text(self) -> str:
        """The text that a person reads: plain, and of the HTML where that says something else."""
        visible = [(segment, self._shown(segment)) for segment in self.segments]
        is_mixed = len({bool(segment.plain) for segment, _ in visible}) > 1
        if is_mixed:  # programs that know no multipart/alternative send both forms in a row
            words = {
                word for segment, text in visible if segment.plain for word in _WORDS.findall(text)
            }
            visible = [
                (segment, text)
                for segment, text in visible
                if segment.plain or not _repeats(text, words)
            ]
        return _joined(text for _, text in visible)

    def has_words(self) -> bool:
        """Whether a person sees anything but blanks and tags, as far as a quick look shows."""
        plain = [segment.plain for segment in self.segments if segment.plain]
        return any(_TAG.sub("", text_of(part)).strip() for part in (*plain, *self._html_parts()))

    def _text_of(self, part: Part) -> str:
        """The characters of a textual part, decoded once."""
        if part not in self._texts:
            self._texts[part] = text_of(part, self._note)
        return self._texts[part]

    def _page(self, part: Part) -> VisibleText:
        """The visible text of an HTML part, read once."""
        if part not in self._pages:
            from nornmail.html.document import read_page  # only mail with HTML loads the engine

            self._pages[part] = read_page(self._text_of(part), self._note)
        return self._pages[part]

    def _html_parts(self) -> list[Part]:
        return [part for segment in self.segments for part in segment.html]

    def _shown_pages(self) -> list[VisibleText]:
        return list(map(self._page, self._html_parts()))

    def _shown(self, segment: Segment) -> str:
        plain = ""
        if segment.plain:
            plain = self._text_of(segment.plain)
            parameters = segment.plain.parameters
            if parameters.get("format", "").lower() == "flowed":
                plain = unflow(plain, parameters.get("delsp", "").lower() == "yes", self._note)
        if segment.html:
            shown = "\n".join(self._page(part).text for part in segment.html)
            if not plain.strip():
                return shown
            from nornmail.message.body import says_other  # as the engine: where needed

            if says_other(plain, shown):
                self._note("a plain part that does not say what its HTML shows")
                return shown
        return plain_without_invisible(plain, self._note)


def find_body(root: Part, note: Note = ignore) -> Body:
    """Sort the leaves of ``root``. What is attached as a message is not looked into."""
    body = Body(note)
    body.segments = _segments(root, body, _Place(is_first=True, is_form=True))
    # A text with a file name that is all the text there is; it remains an attachment as well.
    whole_texts = [
        part
        for part, is_inline in body.attached
        if (is_inline or not part.disposition)
        and part.content_type in ("text/plain", "text/html")
        and "content-id" not in part.headers
    ]
    if whole_texts and not body.has_words():
        body.segments += [
            Segment(html=[part]) if part.content_type == "text/html" else Segment(plain=part)
            for part in whole_texts
        ]
    return body


@dataclass(slots=True)
class _Place:
    """The position of a part.

    Attributes:
        is_first: nothing is shown before it.
        is_form: it is the message itself, its root, or one of several forms of the same content:
            a name does not make a file of it.
        in_related: it belongs to a multipart/related and is not its root.
        is_explanation: it is the first part of a report, which is for people (RFC 6522).
    """

    is_first: bool = False
    is_form: bool = False
    in_related: bool = False
    is_explanation: bool = False


def _segments(part: Part, body: Body, place: _Place) -> list[Segment]:
    if not part.children:
        return _leaf(part, body, place)
    if part.content_type == "multipart/alternative":
        return _alternative(part, body, place)
    root = _related_root(part) if part.content_type == "multipart/related" else None
    visible: list[Segment] = []
    for child in part.children:
        if root is None:
            is_report = part.content_type == "multipart/report" and child is part.children[0]
            here = _Place(place.is_first and not visible, False, place.in_related, is_report)
        elif child is root:
            here = _Place(place.is_first and not visible, True, False)
        else:
            here = _Place(False, False, True)
        visible += _segments(child, body, here)
    return visible


def _leaf(part: Part, body: Body, place: _Place) -> list[Segment]:
    kind = part.content_type
    # A multipart that could not be opened: whatever it is, it is text that a person wrote.
    is_text = kind in ("text/plain", "text/html") or kind.startswith("multipart/")
    is_text = is_text or (place.is_explanation and kind == "message/delivery-status")
    if is_text and not _is_file(part, place):
        return [Segment(html=[part])] if kind == "text/html" else [Segment(plain=part)]
    _attach(part, body, place)
    return []


def _is_file(part: Part, place: _Place) -> bool:
    """Whether a text is attached to the message and is not what the message says."""
    if part.disposition == "attachment":
        return True
    if place.in_related and "content-id" in part.headers:
        return True
    if not part.filename or place.is_form:
        return False
    return part.disposition == "inline" or not place.is_first


def _alternative(part: Part, body: Body, place: _Place) -> list[Segment]:
    """One content in several forms: the plain ones and all that is HTML."""
    plain: list[Segment] = []
    html: list[Part] = []
    nested = [child for child in part.children if child.content_type == part.content_type]
    is_last = bool(nested) and nested[-1] is part.children[-1]
    if (is_last or len(nested) > 1) and _segments(nested[-1], Body(), place):
        # Of alternatives, the last of which are alternatives themselves, it is shown (RFC 2046).
        for child in part.children if is_last else nested:
            if child is not nested[-1]:
                _segments(child, body, place)  # what is attached in it
        return _segments(nested[-1], body, place)
    for child in part.children:
        if not child.children and child.content_type in _FORMS_NOT_SHOWN and not child.filename:
            continue
        for segment in _segments(child, body, _Place(place.is_first, True, place.in_related)):
            html += segment.html
            if segment.plain:
                plain.append(segment)
    if not plain:
        return [Segment(html=html)] if html else []
    return [Segment(plain[0].plain, html), *(Segment(extra.plain) for extra in plain[1:])]


def _related_root(part: Part) -> Part:
    """The part that the others belong to (RFC 2387 section 3.2)."""
    start = part.parameters.get("start", "").strip("<> ")
    kind = part.parameters.get("type", "").lower()
    first = part.children[0]
    for child in part.children if start else ():
        if content_id(child) == start:
            return child
    if first.content_type.startswith(("text/", "multipart/")):
        return first
    return next((child for child in part.children if child.content_type == kind), first)


def _attach(part: Part, body: Body, place: _Place) -> None:
    visible = part.disposition == "inline" or (place.in_related and "content-id" in part.headers)
    body.attached.append((part, visible and part.disposition != "attachment"))


def _written_links(text: str) -> Iterator[str]:
    """The addresses that stand in a text, without the full stops and brackets behind them."""
    for rest in _URL.finditer(text):
        before = text[max(rest.start() - 5, 0) : rest.start()].lower()
        scheme = next((scheme for scheme in _SCHEMES if before.endswith(scheme)), "")
        if scheme:
            yield _URL_END.sub("", text[rest.start() - len(scheme) : rest.end()])


def _repeats(text: str, words: set[str]) -> bool:
    """Whether nearly all that ``text`` says was said in plain text already."""
    here = set(_WORDS.findall(_LINK.sub(" ", text)))
    return bool(words) and len(here - words) <= len(here) * _NEW_WORDS


def _joined(texts: Iterable[str]) -> str:
    out: list[str] = []
    for text in texts:
        if out and text and not out[-1].endswith("\n"):
            out.append("\n")
        if text:
            out.append(text)
    return "".join(out)


def _likely_charset(part: Part, data: bytes) -> str:
    """For 8-bit text whose sender did not say what it is: what the page says, or the header."""
    if part.content_type == "text/html":
        declared = _META_CHARSET.search(data, 0, _META_OCTETS)
        if declared:
            return declared[1].decode("ascii")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return part.headers.charset
    return ""


def text_of(part: Part, note: Note = ignore) -> str:
    """A textual part's characters, lines ended by LF, without NUL."""
    data = part.content(note)
    label = part.parameters.get("charset", "")
    if not data.isascii() and codec_of(label) in _SAY_NOTHING:
        label = _likely_charset(part, data) or label
    # The quick way first, on octets: text of four octets a character is not copied so often.
    if b"\r" in data and not _WIDE.search(label):
        # CR CR LF ends one line, a CR alone one each.
        data = data.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    text = decode(data, label, note)
    del data
    if "\r" in text:
        text = text.replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        note("NUL in the text")
        text = text.replace("\0", "")
    return text.removeprefix("\ufeff")


def unflow(text: str, delete_space: bool, note: Note = ignore) -> str:
    """The paragraphs of format=flowed (RFC 3676) as they were written, each on one line.

    Args:
        delete_space: the parameter DelSp is ``yes``: the blank at the end of a line that flows is
            no part of the text, as in languages that put none between words.
        note: called when there are more lines than the limit; the rest stays as it is.

    Returns:
        Quoted lines come as ``> text``, one ``>`` for each level; a line never flows into one of
        another level. The signature's ``-- `` stays a line of its own.
    """
    out = _Pieces()
    depth = at = 0
    flows = False  # the line before continues here
    for _ in range(MAX_FLOWED_LINES):
        line = _FLOWED_LINE.match(text, at) if at < len(text) else None
        if line is None:
            break
        at = line.end()
        # The blank in front is stuffing, so that "From " and ">" at the start survive.
        marks, content = len(line[1]), line[3]
        is_signature = content == _SIGNATURE
        if flows and (marks != depth or is_signature):
            out.add("\n")
            flows = False
        if marks and not flows:
            out.add(line[1] + " " if content else line[1])
        depth = marks
        flows = content.endswith(" ") and not is_signature
        out.add(content[:-1] if flows and delete_space else content)
        if not flows:
            out.add(line[4])
    if at < len(text):
        note("more flowing lines than the limit")
        out.add(text[at:])
    elif flows and text.endswith("\n"):
        out.add("\n")
    return out.joined()


class _Pieces:
    """Text that grows, without a string object for each of its many short pieces."""

    def __init__(self) -> None:
        self.chunks: list[str] = []
        self.pieces: list[str] = []

    def add(self, piece: str) -> None:
        self.pieces.append(piece)
        if len(self.pieces) > _PIECES_AT_A_TIME:
            self.chunks.append("".join(self.pieces))
            self.pieces.clear()

    def joined(self) -> str:
        return "".join((*self.chunks, *self.pieces))


_IDEOGRAPH: Final = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_PLAIN_WORD: Final = rf"[{_IDEOGRAPH}]|[^\W_{_IDEOGRAPH}]{{1,100}}"
_WORD = re.compile(
    # Addresses, which both forms write as they like. They are looked for at the beginning of a run
    # alone: at each of its characters the time would be the square of its length.
    r"(?<!\w)(?:\w{2,20}://|www\.|mailto:)\S{1,8000}"
    r"|(?<![\w.+/=-])[\w.+/=-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"
    # How programs write an image in plain text, with a name of a few words.
    r"|\[(?:image|cid|logo)(?>(?:[^\s\[\]]{0,100}+[ \t]?+){0,6})\]"
    rf"|({_PLAIN_WORD})",
    re.IGNORECASE,
)
_PLAIN_WORDS = re.compile(_PLAIN_WORD)
_COMPARED_LINE = re.compile(r"[^\n]{1,60000}(?!\S)|[^\n]{1,60000}")
"""A line, or a piece of one: the words of a piece are found at once, and held in memory."""
_ADDRESS_SIGN = re.compile(r"[:@\[]|www\.", re.IGNORECASE)
"""Without one of them a line has nothing but words, which are found three times as fast."""
_OTHER_WORDS: Final = 4
"""Words in a row that only the plain part has, from which on it says something else. In 100 real
alternatives there are three at most where the two forms are of one text."""
_MAX_WORDS: Final = 1_000_000
"""Words of a plain part that are compared. HTML is not read so far as to show more of them."""
_FEW_WORDS: Final = 30
"""Words of a plain part that may be there only to say that the message is in its HTML."""
_MANY_TIMES: Final = 8
"""The factor by which the HTML must show more words for that."""
_SOME_TIMES: Final = 3
"""The same for a plain part that has no words in common with it."""


def says_other(plain: str, shown: str) -> bool:
    """Whether ``plain`` has words that are not in ``shown``, or next to none of its words.

    Words count where a neighbour is the same in both: the same words in another order say something
    else. Wrapping, punctuation, case and addresses of links do not count.
    """
    if len("".join(islice(_words(shown), 2))) < 2:  # pictures, and at most a stray letter
        return False
    neighbours = {hash(pair) for pair in pairwise(_words(shown))}
    count = run = 0
    is_open = False  # the last word has no neighbour in common so far
    previous = ""
    for word in _words(plain):
        count += 1
        if count > _MAX_WORDS:
            return True
        if hash((previous, word)) in neighbours:
            if run - is_open >= _OTHER_WORDS:
                return True
            run, is_open = 0, False
        else:
            if run - is_open >= _OTHER_WORDS:
                return True
            run, is_open = run + 1, True
        previous = word
    times = _SOME_TIMES if run == count else _MANY_TIMES
    return run >= _OTHER_WORDS or count <= min(_FEW_WORDS, len(neighbours) // times)


def _words(text: str) -> Iterator[str]:
    for match in _COMPARED_LINE.finditer(text):
        line = match[0]
        words = (_WORD if _ADDRESS_SIGN.search(line) else _PLAIN_WORDS).findall(line)
        for word in words if line.isascii() else map(_composed, words):
            if word:
                yield word.casefold()


def _composed(word: str) -> str:
    """A word in the form in which all ways to write it are one."""
    return word if word.isascii() else unicodedata.normalize("NFKC", word)
