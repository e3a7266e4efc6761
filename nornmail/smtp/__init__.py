"""SMTP from the client's side, and the only user of smtplib: sessions and transactions."""
