"""No bytes make a message raise, stall or grow, and the bytes themselves stay as they are."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections.abc import Sequence

import pytest

from nornmail.message.limits import MAX_ADDRESSES, MAX_ENCODED_MULTIPARTS, MAX_NESTING, MAX_PARTS
from nornmail.message.message import parse_message
from tests.message import corpus
from tests.message.inputs import FIELDS, KILOBYTE, MEGABYTE, SLOW, Build, levels
from tests.message.mutating import SEEDS, mutated
from tests.message.reading import touch
from tests.support.samples import sampled
from tests.support.table import table


def placed(field: bytes) -> tuple[bytes, ...]:
    """A field alone, within a header, and in front of a body."""
    return (
        field,
        b"X: y\r\n" + field + b"\r\n\r\nbody",
        field + b"\n\n--b\n\nbody\n--b--\n",
    )


def reads(raw: bytes) -> None:
    message = parse_message(raw, authserv_id="mx.x")
    touch(message)
    assert message.raw == raw


@table(
    "raw",
    [pytest.param(placed(field)[at % 3], id=ascii(field[:50])) for at, field in enumerate(FIELDS)],
)
def test_a_bad_field(raw: bytes) -> None:
    reads(raw)


@pytest.mark.long
@table("field", FIELDS, ids=lambda field: ascii(field[:50]))
def test_a_bad_field_wherever_it_is(field: bytes) -> None:
    for raw in placed(field):
        reads(raw)


SECONDS = 1.0
"""Of processor time, for one megabyte with every field read."""
REFERENCE_SECONDS = 0.003
"""What :func:`work` takes on the machine for which that is meant."""
LINEAR = 3.0
"""Times as long for twice the size: between 2, and 4 for what is quadratic."""
WORTH_A_THOUGHT = 0.01
"""Seconds below which fifty kilobytes can be quadratic for all that it matters: half a megabyte,
which is all of a header that is read, takes a second then."""
IN_EVERY_RUN = 1
"""Of a hundred slow inputs, those that are tried in every run; all of them in a long one."""
MAX_TIMES_SIZE = 20
"""Octets of memory for each octet of a message, with every field read."""


def work() -> None:
    """Some of everything that readers do."""
    text = "the quick brown fox " * 2_000
    for _ in range(20):
        "".join(reversed(text.split()))
        text.encode().decode("latin-1").replace("q", "k")


def seconds(raw: bytes) -> float:
    """Of processor time, for reading everything."""
    message = parse_message(raw, authserv_id="mx.x")
    begun = time.process_time()
    touch(message)
    return time.process_time() - begun


def pace() -> float:
    """How much slower this machine is now than the one for which the limits are meant."""
    taken = []
    for _ in range(3):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return max(1.0, min(taken) / REFERENCE_SECONDS)


def takes_longer(raw: bytes, limit: float) -> bool:
    """It does so again and again: once can be the machine."""
    return seconds(raw) > limit and all(seconds(raw) > limit * pace() for _ in range(3))


def peak_bytes(raw: bytes) -> int:
    """The most memory that reading every field takes at a time, besides the message itself."""
    gc.collect()
    tracemalloc.start()
    try:
        message = parse_message(raw, authserv_id="mx.x")
        _ = (message.defects, message.new_text, message.authentication, message.plain_text)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


slow_inputs = pytest.mark.parametrize("build", SLOW.values(), ids=SLOW.keys())


def is_linear(build: Build) -> bool:
    """Twice the size takes about twice the time, or it is none worth a thought."""
    raw, twice = build(50 * KILOBYTE), build(100 * KILOBYTE)
    for _ in range(4):
        once = seconds(raw)
        if once < WORTH_A_THOUGHT or seconds(twice) < LINEAR * once:
            return True
    return False


@pytest.mark.parametrize("build", sampled(list(SLOW.values()), IN_EVERY_RUN, ids=list(SLOW)))
def test_twice_the_size_takes_twice_the_time(build: Build) -> None:
    assert is_linear(build)


@pytest.mark.long
@slow_inputs
def test_no_megabyte_takes_a_second_or_twenty_times_its_size(build: Build) -> None:
    raw = build(MEGABYTE)
    assert not takes_longer(raw, SECONDS)
    assert peak_bytes(raw) < MAX_TIMES_SIZE * len(raw)


def grows(name: str) -> bool:
    """Reading takes more memory than a multiple of the size."""
    peak_bytes(SLOW[name](KILOBYTE))  # what is imported and compiled now is no message's
    raw = SLOW[name](100 * KILOBYTE)
    return peak_bytes(raw) >= MAX_TIMES_SIZE * len(raw) + 100 * KILOBYTE


@table(
    "name",
    ["parts", "damaged UTF-8", "dots in an address", "quotes in a parameter"],
)  # fmt: skip
def test_nothing_grows(name: str) -> None:
    assert not grows(name)


@pytest.mark.long
@table(
    "name",
    [
        "parameters", "encoded words", "addresses without commas", "references",
        "names without addresses", "fields", "base64 in many lines", "a notice of many",
        "parts with types of their own", "a long parameter", "parameters without semicolons",
        "levels", "flowing lines", "base64 in many runs", "soft breaks with blanks",
        "lines of uuencode", "lines of ISO-2022-JP", "a report on many", "CR in a text",
    ],
)  # fmt: skip
def test_nothing_grows_in_what_takes_its_time(name: str) -> None:
    assert not grows(name)


def test_newlines_without_end_are_no_trouble() -> None:
    assert not takes_longer(SLOW["newlines"](MEGABYTE), SECONDS / 5)


MANY_PARTS = SLOW["parts"](20 * MAX_PARTS)


@table(
    ("raw", "defect"),
    [
        pytest.param(levels(1_000), "multiparts nested deeper than the limit", id="levels"),
        pytest.param(MANY_PARTS, "more parts than the limit", id="parts"),
        pytest.param(SLOW["addresses"](MEGABYTE), "more addresses than the limit", id="addresses"),
        pytest.param(SLOW["fields"](9 * KILOBYTE), "more header fields than the limit",
                     id="fields"),
        pytest.param(b"X: " + b"a" * 600 * KILOBYTE + b"\n\n", "header block over the limit",
                     id="header"),
        pytest.param(SLOW["encoded words"](99 * KILOBYTE), "more encoded words than the limit",
                     id="words"),
        pytest.param(SLOW["parameters"](KILOBYTE), "more parameters than the limit",
                     id="parameters"),
        pytest.param(SLOW["colons in an address"](20 * KILOBYTE),
                     "a word over the limit in an address field", id="a name"),
        pytest.param(SLOW["a report on many"](99 * KILOBYTE),
                     "more reported recipients than the limit", id="recipients of a report"),
        pytest.param(SLOW["words in an address"](9 * KILOBYTE),
                     "more words in a name than the limit", id="words of a name"),
        pytest.param(SLOW["boundaries that are none"](MEGABYTE),
                     "more lines that look like a boundary than the limit", id="boundaries"),
        pytest.param(SLOW["newlines of HTML"](3 * MEGABYTE), "HTML over the limit", id="HTML"),
    ],
)  # fmt: skip
def test_what_is_over_a_limit_is_a_defect(raw: bytes, defect: str) -> None:
    message = parse_message(raw)
    assert defect in message.defects
    assert message.raw is raw


def test_what_is_over_a_limit_that_is_large_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nornmail.message.body.MAX_FLOWED_LINES", 1_000)
    monkeypatch.setattr("nornmail.html.limits.HTML_STEPS", 1_000)
    assert parse_message(SLOW["flowing lines"](3_000)).defects == ()
    flowing = parse_message(SLOW["flowing lines"](3_004))
    assert flowing.defects == ("more flowing lines than the limit",)
    assert "HTML too costly to read" in parse_message(SLOW["paragraphs"](20_000)).defects


def test_what_lies_within_a_limit_is_read() -> None:
    assert len(parse_message(SLOW["addresses"](MEGABYTE)).to) == MAX_ADDRESSES
    assert parse_message(SLOW["a long subject"](MEGABYTE)).subject.startswith("aaaa")
    assert parse_message(MANY_PARTS).text == "\n".join(["x"] * MAX_PARTS)
    assert parse_message(levels(MAX_NESTING)).text == "hello"


def test_multiparts_that_are_encoded_again_and_again_are_opened_a_few_times() -> None:
    body = b"--b\n\nhello\n--b--\n"
    head = b"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: quoted-printable"
    for _ in range(MAX_ENCODED_MULTIPARTS + 5):
        body = b"--b\n" + head + b"\n\n" + body.replace(b"=", b"=3D").replace(b"--b", b"=2D-b")
    message = parse_message(head + b"\n\n" + body.replace(b"=", b"=3D").replace(b"--b", b"=2D-b"))
    touch(message)
    assert "a multipart in which its boundary does not occur" in message.defects


def read_mutations(seeds: Sequence[bytes], number: int, seed: int) -> None:
    chance = random.Random(seed)
    for count in range(number):
        raw = mutated(seeds, chance)
        message = parse_message(raw, authserv_id="mx.x")
        try:
            touch(message)
        except Exception as error:
            raise AssertionError(f"mutation {count} of {raw!r}") from error
        assert message.raw == raw


def corpus_seeds() -> list[bytes]:
    """Real mail of ordinary size: the large ones would take the time of all others."""
    contents = [path.read_bytes() for path in corpus.files()]
    return [content for content in contents if len(content) < 100 * KILOBYTE]


@pytest.mark.parametrize("number", [100, pytest.param(2_000, marks=pytest.mark.long)])
def test_mutations_of_mail_of_our_own(number: int) -> None:
    read_mutations(SEEDS, number, 20240301)


@corpus.needs_corpus
def test_some_mutations_of_the_corpus() -> None:
    read_mutations(corpus_seeds(), 25, 1)


@pytest.mark.long
@corpus.needs_corpus
def test_ten_thousand_mutations_of_the_corpus() -> None:
    read_mutations(corpus_seeds(), 10_000, 20240302)


@corpus.needs_corpus
@pytest.mark.parametrize("step", [20, pytest.param(1, marks=pytest.mark.long)], ids=["some", "all"])
def test_the_corpus_of_real_mail(step: int) -> None:
    for path in corpus.files()[::step]:
        raw = path.read_bytes()
        message = parse_message(raw, authserv_id="mx.x")
        try:
            touch(message)
        except Exception as error:
            raise AssertionError(f"on {path}") from error
        assert message.raw == raw
