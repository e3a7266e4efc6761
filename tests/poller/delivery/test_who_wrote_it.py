"""What the settings say of the user's own server reaches the message that a callback is given."""

from __future__ import annotations

import pytest

from nornmail import Message
from tests.poller.delivery.harness import World, embedded_only, mail

RESULTS = "Authentication-Results: mx.example.net; dmarc=pass header.from=example.org\r\n"


@embedded_only
@pytest.mark.parametrize(
    ("options", "is_sender"),
    [
        pytest.param({"authserv_id": "mx.example.net"}, True, id="the server that is trusted"),
        pytest.param({"authserv_id": "mx.example.com"}, False, id="another server"),
        pytest.param({}, False, id="no server"),
    ],
)
def test_the_verdicts_of_the_server_in_the_settings_count(
    world: World, options: dict[str, str], is_sender: bool
) -> None:
    seen: list[bool] = []
    asked: list[bool] = []

    def accept(message: Message) -> bool:
        asked.append(message.authentication.is_from("sender@example.org"))
        return True

    def handle(message: Message) -> None:
        seen.append(message.authentication.is_from("sender@example.org"))

    world.deliver(mail("one", head=RESULTS))
    world.poller(handle, accept=accept, **options).poll_once()
    assert (asked, seen) == ([is_sender], [is_sender])
