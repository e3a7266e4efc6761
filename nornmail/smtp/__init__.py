"""SMTP from the client's side: the only room that knows smtplib.

``mailer`` is its face. ``compose``, ``replies`` and ``loops`` are pure, and so is ``schedule``,
which decides what an answer means for a letter; ``outbox`` acts on it, through ``line`` and
``session``.
"""
