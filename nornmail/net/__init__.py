"""What IMAP and SMTP both need: connecting and TLS, deadlines, SASL, redaction, diagnosis."""
