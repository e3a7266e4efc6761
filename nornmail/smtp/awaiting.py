"""Sending under asyncio: in a thread, so that a slow server or disk holds no event loop up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from nornmail.outbox.results import SendResult

log = logging.getLogger("nornmail.smtp")


async def in_a_thread(work: Callable[[], SendResult]) -> SendResult:
    """Do it in a thread, and leave nothing half done when this is cancelled."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("cancelled, and %s", error)
        raise
