"""The oracle of the soak bites: each kind of breach is one, and what is planned is none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from nornmail import Reject, parse_message
from nornmail.events import Dead
from nornmail.model import MessageRef
from tests.soak.books import INBOXES, STRANGER, Books, Role, Trouble, serial_of


class Desk:
    """Books, and the messages that were entered."""

    def __init__(self) -> None:
        self.books = Books()
        self.mail: dict[int, bytes] = {}

    def enter(self, role: Role, *recipients: str) -> int:
        raw = self.books.compose(recipients or INBOXES[:1], role, 1, 10)
        self.mail[serial_of(raw)] = raw
        return serial_of(raw)

    def hand_over(self, serial: int, inbox: int = 0, delivery_id: str = "") -> None:
        name = delivery_id or f"{serial} {inbox}"
        on_message = self.books.inboxes[inbox].on_message
        assert on_message is not None
        with suppress(Trouble, Reject):
            on_message(parse_message(self.mail[serial], delivery_id=name, attempt=1))

    def die(self, serial: int) -> None:
        self.books.note(
            Dead(
                at=datetime.now(UTC),
                ref=MessageRef("INBOX", 1, serial),
                inbox=INBOXES[0],
                delivery_id=f"{serial} 0",
                attempts=1,
                reason="",
            )
        )


def twice(desk: Desk) -> None:
    serial = desk.enter("handled")
    desk.hand_over(serial)
    desk.hand_over(serial)


def after_it_was_written_off(desk: Desk) -> None:
    serial = desk.enter("handled")
    desk.hand_over(serial)
    desk.books.write_off([serial])
    desk.hand_over(serial)


def after_its_death(desk: Desk) -> None:
    serial = desk.enter("rejected")
    desk.hand_over(serial)
    desk.die(serial)
    desk.hand_over(serial)


def to_the_wrong_inbox(desk: Desk) -> None:
    desk.hand_over(desk.enter("handled"), inbox=1)


def unrouted(desk: Desk) -> None:
    desk.hand_over(desk.enter("handled", STRANGER))


def another_id(desk: Desk) -> None:
    serial = desk.enter("retried")
    desk.hand_over(serial)
    desk.hand_over(serial, delivery_id="another")


def dead_unplanned(desk: Desk) -> None:
    serial = desk.enter("retried")
    desk.hand_over(serial)
    desk.die(serial)


def seen_before_its_end(desk: Desk) -> None:
    desk.books.audit({desk.enter("handled"): True})


def seen_although_dead(desk: Desk) -> None:
    serial = desk.enter("rejected", *INBOXES)
    desk.hand_over(serial)
    desk.die(serial)
    desk.hand_over(serial, inbox=1)
    desk.books.audit({serial: True})


def seen_unrouted(desk: Desk) -> None:
    desk.books.audit({desk.enter("handled", STRANGER): True})


BREACHES: list[tuple[str, Callable[[Desk], None]]] = [
    ("handled twice", twice),
    ("handed over after it was written off", after_it_was_written_off),
    ("handed over after its death", after_its_death),
    ("handed over to the wrong inbox", to_the_wrong_inbox),
    ("handed over although it is for nobody", unrouted),
    ("a retry under another delivery id", another_id),
    ("dead although it was to be handled", dead_unplanned),
    ("seen before its end", seen_before_its_end),
    ("seen although one inbox gave it up", seen_although_dead),
    ("seen although it is for nobody", seen_unrouted),
]


@pytest.mark.parametrize("breach", [one for _, one in BREACHES], ids=[name for name, _ in BREACHES])
def test_it_is_a_breach_to_be(breach: Callable[[Desk], None]) -> None:
    desk = Desk()
    breach(desk)
    assert len(desk.books.breaches) == 1


def test_what_goes_as_planned_is_none() -> None:
    desk = Desk()
    retried, rejected = desk.enter("retried", *INBOXES), desk.enter("rejected")
    for _ in range(2):
        desk.hand_over(retried)
    desk.hand_over(rejected)
    desk.die(rejected)
    assert desk.books.outstanding() == 1
    desk.hand_over(retried, inbox=1)
    assert desk.books.unfinished({retried: False, rejected: False})
    flags = {retried: True, rejected: False}
    assert desk.books.unfinished(flags) == []
    assert desk.books.audit(flags) == [retried, rejected]
    assert desk.books.breaches == []
