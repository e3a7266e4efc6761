"""The control interface: a WSGI application over a poller and a mailer (PEP 3333).

Inboxes are made and removed, a look is asked for, mail is sent, and somebody who watches asks
whether all is well. There is no framework: any WSGI server can carry it, and ``nornmail serve``
runs it on the standard library's.

``application`` puts it together; ``exchange`` has requests and answers as values; ``inboxes``,
``messages`` and ``health`` are the resources, each a few functions of a request.
"""

from nornmail.web.application import (
    MAX_BODY,
    MAX_BODY_WITH_ATTACHMENTS,
    WsgiApplication,
    application,
)

__all__ = ["MAX_BODY", "MAX_BODY_WITH_ATTACHMENTS", "WsgiApplication", "application"]
