"""The password is in no log, no error, no traceback and no ``repr``, whatever a server says.

Every other test of this suite looks through its own log at its end, too.
"""

from __future__ import annotations

import base64
import traceback
from collections.abc import Callable

import pytest

from nornmail import NornmailError
from tests.poller.delivery.harness import World

Spoil = Callable[[bytes], bytes]


def forms(world: World) -> list[str]:
    """The password as it is, and as SASL sends it."""
    user, password = world.backend.user, world.backend.password
    plain = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    return [password, plain]


def echoes(world: World, form: str) -> dict[str, bytes]:
    """Answers to the login with the secret in them, as careless servers give them."""
    secret = form.encode()
    return {
        "NO": b"NO [AUTHENTICATIONFAILED] LOGIN failed: " + secret,
        "BAD": b"BAD cannot parse: LOGIN user " + secret,
        "a code": b"NO [" + secret + b"] no",
    }


@pytest.mark.parametrize("kind", ["NO", "BAD", "a code"])
@pytest.mark.parametrize("form", [0, 1], ids=["as it is", "in base64"])
def test_a_server_that_repeats_the_password(world: World, kind: str, form: int) -> None:
    secrets = forms(world)
    world.wire.refuse("^(LOGIN|AUTHENTICATE)", echoes(world, secrets[form])[kind])
    told = what_it_says(world)
    assert told
    for secret in secrets:
        assert secret not in told


@pytest.mark.parametrize(
    "pattern", ["^(LOGIN|AUTHENTICATE)", "^SELECT", "^UID SEARCH", "UID FETCH"]
)
def test_a_server_that_says_the_password_in_an_untagged_line(world: World, pattern: str) -> None:
    secrets = forms(world)
    lines = b"".join(
        b"* %s %s\r\n" % (kind, secret.encode())
        for kind in (b"OK [ALERT]", b"NO", b"BAD", b"XYZZY", b"BYE")
        for secret in secrets
    )
    world.deliver("one")
    world.wire.spoil(pattern, lambda answer: lines + answer, times=10)
    told = what_it_says(world)
    for secret in secrets:
        assert secret not in told


@pytest.mark.parametrize("done", [False, True], ids=["before it arrived", "once it was done"])
def test_a_connection_that_breaks_at_the_login(world: World, done: bool) -> None:
    world.wire.cut("^(LOGIN|AUTHENTICATE)", done=done, times=10)
    told = what_it_says(world)
    assert "ConnectionLost" in told
    for secret in forms(world):
        assert secret not in told


def test_what_is_shown_of_a_poller_and_its_settings(world: World) -> None:
    settings = world.settings()
    shown = f"{settings!r} {settings} {world.poller()!r}"
    for secret in forms(world):
        assert secret not in shown


def what_it_says(world: World) -> str:
    """Everything that a person gets to see of a poll: the log, the error, and where it was."""
    told: list[str] = []
    poller = world.poller()
    try:
        poller.poll_once()
    except NornmailError as error:
        told += [repr(error), repr(vars(error)), *traceback.format_exception(error)]
    poller.close()
    world.run(world.poller(account="another"), lambda: None, lambda: None)
    return "\n".join([*told, *world.logged()])
