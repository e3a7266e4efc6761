"""The IMAP side of the test server: a session for each connection, and the commands it knows."""
