"""The last look at a message before it may go out: is it read as it was meant?

What writes and what reads share no code, so a mistake in one of them shows here, and the message
stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nornmail.errors import ComposeError
from nornmail.message.addresses import Address
from nornmail.message.message import parse_message
from nornmail.smtp.lines import line_fault


def verify(raw: bytes, named: Mapping[str, Sequence[Address]], fields: Sequence[bytes]) -> None:
    """Refuse a message that is not read as it was meant.

    Args:
        raw: the message.
        named: whom ``from_``, ``to``, ``cc`` and ``reply_to`` are to name.
        fields: the header, field by field.

    Raises:
        ComposeError: a line breaks the rules, a field is too many, or another address is read.
    """
    fault = line_fault(raw)
    if fault:
        raise ComposeError("message", fault)
    head_end = raw.find(b"\r\n\r\n") + 4
    message = parse_message(raw[:head_end])
    names = [field.partition(b":")[0].decode() for field in fields]
    if list(message.headers) != names:
        raise ComposeError("message", "its header would be read with other fields")
    read = {
        "from_": (message.from_,),
        "to": message.to,
        "cc": message.cc,
        "reply_to": message.reply_to,
    }
    for name, addresses in read.items():
        meant = [one.address for one in named[name]]
        if [one.address for one in addresses] != meant:
            raise ComposeError(name.rstrip("_"), "its addresses would be read as other ones")
