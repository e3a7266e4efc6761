"""The parts that IMAP and SMTP share: connecting and TLS, deadlines, SASL, redaction, diagnosis."""
