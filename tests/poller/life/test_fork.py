"""A process that is forked while a poller runs leaves that alone."""

from __future__ import annotations

import os
import select
import signal
import sys
import warnings

import pytest

from nornmail import Message, NornmailError, Poller
from nornmail.events import Connected, Idle
from tests.poller.life.harness import SECONDS, Gate, Life
from tests.support.forking import in_a_fork

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")


def use(poller: Poller, name: str) -> None:
    with pytest.raises(NornmailError, match="fork"):
        getattr(poller, name)()


def test_the_end_of_a_forked_process_is_not_the_end_of_the_poller(life: Life) -> None:
    with life.poller() as poller:
        life.events.until(Idle)

        def end() -> None:
            poller.stop()
            poller.close()

        assert in_a_fork(end) == 0
        life.deliver("one")
        assert poller.sync() == 1
    assert len(life.events.of(Connected)) == 1


def test_a_fork_in_the_middle_of_a_message_may_close_too(life: Life) -> None:
    life.deliver("one")
    gate = Gate("one")
    with life.poller(gate) as poller:
        assert gate.reached.wait(20)
        assert in_a_fork(poller.close) == 0
        gate.go.set()
        assert poller.sync() == 0
    assert len(life.events.of(Connected)) == 1


@pytest.mark.parametrize("name", ["poll_once", "sync", "start", "run_forever"])
def test_a_forked_process_cannot_use_its_parents_poller(life: Life, name: str) -> None:
    poller = life.poller()
    poller.poll_once()
    assert in_a_fork(lambda: use(poller, name)) == 0
    assert poller.poll_once().new == 0


def test_a_process_that_a_handler_forked_in_a_worker_ends_with_the_call(life: Life) -> None:
    reader, writer = os.pipe()
    children: list[int] = []

    def handler(message: Message) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
            child = os.fork()
        if child:
            life.note(message)
            children.append(child)

    life.deliver("one")
    poller = life.poller(handler, workers=2)
    poller.poll_once()
    os.close(writer)
    ended = select.select([reader], [], [], SECONDS)[0]
    os.close(reader)
    if not ended:
        os.kill(children[0], signal.SIGKILL)
    os.waitpid(children[0], 0)
    assert ended, "the child held its end of the pipe"
    assert life.subjects == ["one"]
    assert poller.poll_once().new == 0
