"""Messages as a mail server sees them: octets in, offsets and values out; it never raises."""
