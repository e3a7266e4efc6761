"""IMAP from the client's side, and the only user of imaplib: connections, commands, responses."""
