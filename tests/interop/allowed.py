r"""Where the two servers may differ, and why. What is not here must be the same.

| difference | why |
|---|---|
| ``\Recent``, RECENT, OLD, NEW | the embedded server has no ``\Recent``: IMAP4rev2 took it away |
| a plain text in US-ASCII | Dovecot keeps such parts in its index as one bit, and tells their type, charset and encoding in its own spelling |
| a header that a boundary breaks off | Dovecot counts the line break before the boundary in the size of the part and leaves it out of BODY[n.HEADER] and BODY[n.MIME] |
| labels of HEADER.FIELDS | Dovecot writes the names in capitals (RFC 3501: case-insensitive) |
| FROM, TO, CC and BCC in a list of addresses that breaks off | Dovecot searches what could be read of it, the embedded server all of it |
| SENTBEFORE where there is no Date | Dovecot takes it for 1970; RFC 3501 says nothing |
| boundaries of more than 70 octets | RFC 2046 has none; Dovecot cuts them |
| INTERNALDATE of a day below 10 | Dovecot writes a nought before it, the embedded server a blank (RFC 3501: either) |
| a STORE that changes nothing | Dovecot tells no flags then |
| the order of EXPUNGE lines | Dovecot begins with the last message |
| UIDVALIDITY, texts behind a status, the order of items | left to the server |
"""  # noqa: E501

from __future__ import annotations

from tests.interop.answers import Value

_PLAIN = [b"text", b"plain"]


def told(items: dict[bytes, Value]) -> dict[bytes, Value]:
    """The data items of a message without what may differ."""
    return {name.upper(): _same(name.upper(), value) for name, value in items.items()}


def _same(name: bytes, value: Value) -> Value:
    if name == b"FLAGS" and isinstance(value, list):
        flags = [flag for flag in value if isinstance(flag, bytes) and flag != b"\\Recent"]
        return [*sorted(flags)]  # a list of values: one of octets alone is no such list
    if name == b"INTERNALDATE" and isinstance(value, bytes):
        return value.replace(b" ", b"0", 1) if value.startswith(b" ") else value
    if name in (b"BODY", b"BODYSTRUCTURE"):
        return structure(value)
    if name.endswith((b"MIME]", b"HEADER]")) and isinstance(value, bytes):
        return value.rstrip(b"\r\n")
    return value


def structure(value: Value) -> Value:
    """A BODYSTRUCTURE with every plain US-ASCII text spelt one way."""
    if not isinstance(value, list):
        return value
    inner = [structure(one) for one in value]
    if _is_ascii(inner):
        inner[:3], inner[5] = [*_PLAIN, [b"charset", b"us-ascii"]], b"7bit"
    return inner


def _is_ascii(part: list[Value]) -> bool:
    """Whether it is a text/plain of US-ASCII in 7bit or 8bit."""
    if len(part) < 7 or not isinstance(part[0], bytes) or not isinstance(part[1], bytes):
        return False
    parameters, encoding = part[2], part[5]
    if not isinstance(parameters, list) or not isinstance(encoding, bytes):
        return False
    named = [one.lower() for one in parameters if isinstance(one, bytes)]
    return (
        [part[0].lower(), part[1].lower()] == _PLAIN
        and named == [b"charset", b"us-ascii"]
        and encoding.lower() in (b"7bit", b"8bit")
    )
