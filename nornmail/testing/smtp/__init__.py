"""The SMTP side of the test server."""
