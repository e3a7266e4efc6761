"""SMTP from the client's side: the only room that knows smtplib.

Messages and answers are made (``compose``, ``replies``, ``loops``), and handed in (``session``);
``probe`` tells whether they could be.
"""

from nornmail.smtp.probe import probe_smtp

__all__ = ["probe_smtp"]
