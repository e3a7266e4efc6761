"""What ``before_send`` says of a message, as a value: nothing that it does raises out of here."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass

from nornmail.errors import Defer, Reject
from nornmail.outbox.results import Outgoing

log = logging.getLogger("nornmail.smtp")

BeforeSend = Callable[[Outgoing], object]
"""True sends it, False or :class:`~nornmail.errors.Reject` does not, and
:class:`~nornmail.errors.Defer` asks again later."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a message.

    Attributes:
        goes: it is sent now.
        later: seconds until the question is asked again; ``None`` if it is not.
        failed: the hook itself failed: it is asked again, and that counts as a try.
        reason: for a person.
    """

    goes: bool = False
    later: float | None = None
    failed: bool = False
    reason: str = ""


def ask(before_send: BeforeSend | None, outgoing: Outgoing) -> Verdict:
    """Ask whether a message may go out."""
    if before_send is None:
        return Verdict(goes=True)
    try:
        said = before_send(outgoing)
    except Defer as defer:
        return Verdict(later=defer.seconds, reason=str(defer))
    except Reject as reject:
        return Verdict(reason=str(reject))
    except Exception as error:
        log.exception("before_send failed for %s", outgoing.key)
        return Verdict(failed=True, reason=f"before_send failed: {type(error).__name__}: {error}")
    if said is True or said is False:
        return Verdict(goes=said)
    if inspect.iscoroutine(said):
        said.close()
    # Not False: who forgot a return did not say no. Not True either.
    reason = f"before_send returned {type(said).__name__}, and not True or False"
    log.error("%s", reason)
    return Verdict(failed=True, reason=reason)
