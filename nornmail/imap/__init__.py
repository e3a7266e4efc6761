"""IMAP from the client's side: the only room that knows imaplib.

:class:`Connection` is the face of it. Below lie ``wire`` (octets in, responses out, bounded, with a
deadline), ``responses`` and ``tokens`` (octets into values), ``commands`` (values into octets),
``auth`` and ``transport`` (getting in). RFC 3501 with UIDPLUS, MOVE, ESEARCH and STARTTLS.
"""
