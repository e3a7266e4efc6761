"""What was put into a message is what is read from it."""

from __future__ import annotations

from nornmail.message.message import parse_message
from tests.bench.parsing import with_compat32, with_nornmail, with_policy_default
from tests.message.made_mail import Maker


def test_what_was_put_in_is_read() -> None:
    made = list(Maker(1).messages(30))
    assert {bool(one.text) + 2 * bool(one.html) + 4 * bool(one.files) for one in made} == {
        1, 2, 3, 5,
    }  # fmt: skip
    for one in made:
        message = parse_message(one.raw)
        assert message.subject == one.subject
        assert message.from_.address == one.sender
        assert message.plain_text.rstrip("\n") == one.text.rstrip("\n")
        assert message.html.rstrip("\n") == one.html.rstrip("\n")
        assert [(part.filename, part.content) for part in message.attachments] == list(one.files)
        assert message.date is not None
        assert message.defects == ()


def test_the_same_seed_makes_the_same_mail() -> None:
    first, second = ([one.raw for one in Maker(7).messages(5)] for _ in range(2))
    assert first == second
    assert first != [one.raw for one in Maker(8).messages(5)]


def test_the_readers_that_are_compared_do_the_same_work() -> None:
    for one in Maker(2).messages(8):
        octets = sum(len(content) for _, content in one.files)
        for read in (with_nornmail, with_compat32, with_policy_default):
            assert read(one.raw) == octets
