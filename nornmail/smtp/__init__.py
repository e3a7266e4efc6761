"""SMTP from the client's side: the only room that knows smtplib.

So far it can tell whether mail could be handed in (``probe``); nothing is sent yet.
"""

from nornmail.smtp.probe import probe_smtp

__all__ = ["probe_smtp"]
