"""Raw bytes in, :class:`Message` out: never an exception, and bounded."""
