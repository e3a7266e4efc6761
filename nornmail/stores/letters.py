"""Writes the rows of messages on their way out: the messages, their recipients, bytes and requests.

Each function is called within a transaction of the store, whose ``execute`` it takes.
"""

from __future__ import annotations

from typing import NamedTuple

from nornmail.outgoing import (
    OperatorRequest,
    QueuedMessage,
    check_request,
    replaced,
    still_applies,
)
from nornmail.stores import rows
from nornmail.stores.entries import Execute


class Letter(NamedTuple):
    """A message as its row has it.

    Attributes:
        number: of the row.
        request: an operator's, which was not carried out yet.
        message: the message.
    """

    number: int
    request: OperatorRequest | None
    message: QueuedMessage


def find(execute: Execute, outbox: int | None, name: str, key: str) -> Letter | None:
    """The message with a key in an outbox of this number and name."""
    query = rows.SELECT_MESSAGE + rows.FOR_UPDATE
    row = execute(query, (outbox, key)).fetchone()
    if row is None:
        return None
    request = None if row[1] is None else OperatorRequest(row[1])
    return Letter(row[0], request, rows.read_message(name, tuple(row[2:])))


def insert(execute: Execute, outbox: int, message: QueuedMessage) -> int | None:
    """Make the rows of a message, without its bytes.

    Returns:
        The number of the message's own row, ``None`` where its key is known.
    """
    if not execute(rows.INSERT_MESSAGE, (outbox, *rows.write_message(message))).rowcount:
        return None
    (number,) = execute(rows.SELECT_MESSAGE_ID, (outbox, message.key)).fetchone()
    for recipient in message.recipients:
        place = (outbox, recipient.address.lower(), message.queued_at, number)
        execute(rows.INSERT_RECIPIENT, place)
    return int(number)


def update(execute: Execute, number: int, message: QueuedMessage) -> None:
    """Write what became of a message."""
    execute(rows.UPDATE_MESSAGE, (*rows.write_message(message), number))


def replace(execute: Execute, letter: Letter, message: QueuedMessage) -> None:
    """Replace a message by what its sender made of it.

    Raises:
        IllegalTransition: it may not change so.
    """
    after = replaced(letter.message, message)
    update(execute, letter.number, after)
    if not after.keeps_bytes():
        execute(rows.DELETE_BYTES, (letter.number,))
    request = letter.request
    if request is not None and not still_applies(request, letter.message, after):
        execute(rows.UPDATE_REQUEST, (None, letter.number))


def request(execute: Execute, letter: Letter | None, request: OperatorRequest) -> None:
    """Leave an operator's request.

    Raises:
        IllegalTransition: there is no such message, or this cannot be done with it.
    """
    check_request(None if letter is None else letter.message, request)
    if letter is not None and letter.request is not request:
        execute(rows.UPDATE_REQUEST, (request.value, letter.number))


def forget(execute: Execute, outbox: int | None, before: float, limit: int) -> int:
    """As :meth:`~nornmail.stores.protocol.OutboxStore.forget_messages` says."""
    forgotten = execute(rows.SELECT_FORGOTTEN_MESSAGES, (outbox, before, limit)).fetchall()
    for number, queued_at, recipients in forgotten:
        for address in rows.read_addresses(recipients):
            execute(rows.DELETE_RECIPIENT, (outbox, address, queued_at, number))
        execute(rows.DELETE_MESSAGE, (number,))  # its bytes went when it was sent or dropped
    return len(forgotten)
