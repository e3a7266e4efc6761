"""A message or an answer to bytes and envelope. Pure: no socket, no store."""
