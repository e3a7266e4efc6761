"""Raw bytes in, :class:`~nornmail.message.message.Message` out: never an exception, and bounded."""
