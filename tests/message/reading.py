"""What several tests of this room do with a message."""

from __future__ import annotations

import json

from nornmail.message.message import Message


def touch(message: Message) -> None:
    """Read every field; each must be there, and be what JSON and UTF-8 can carry."""
    fields = message.to_dict()
    assert json.loads(json.dumps(fields, ensure_ascii=False).encode()) == fields
    assert len(repr(message)) < 1_000
    assert message.thread_id
    assert message.recipients is not None
    for attachment in message.attachments:
        assert len(attachment.content) == attachment.size
        assert attachment.filename
        assert not set(attachment.filename) & set("/\\\0\r\n")
    for name in {name.lower() for name in message.headers}:
        assert message.headers.get_all(name)
        assert message.headers.get(name) == message.headers.get_all(name)[0]
    assert message.bounce is None or message.bounce.recipients


def mail(body: bytes = b"", **fields: bytes) -> bytes:
    """A message with CRLF; ``content_type=b"..."`` gives a Content-Type field."""
    lines = [name.replace("_", "-").encode() + b": " + value for name, value in fields.items()]
    return b"\r\n".join([*lines, b"", body.replace(b"\n", b"\r\n")])
