"""The control interface: a WSGI application over a poller and a mailer (PEP 3333).

It creates and removes inboxes, polls on request, sends mail, takes decisions about it, shows dead
letters, and reports whether all is well. There is no framework: any WSGI server can run it, and
``nornmail serve`` runs it on the standard library's.

``application`` puts it together; ``http`` has requests and responses as values; ``inboxes``,
``messages``, ``dead`` and ``metrics`` are the resources, each a few functions of a request;
``openapi`` describes them.
"""

from nornmail.web.application import (
    MAX_BODY,
    MAX_BODY_WITH_ATTACHMENTS,
    WsgiApplication,
    application,
)
from nornmail.web.metrics import Metrics

__all__ = ["MAX_BODY", "MAX_BODY_WITH_ATTACHMENTS", "Metrics", "WsgiApplication", "application"]
