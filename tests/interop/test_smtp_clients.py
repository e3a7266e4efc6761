"""Clients that nobody here wrote meet the embedded server and Postfix, and notice no difference."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import re
import smtplib
import ssl
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from nornmail.testing import MailServer, smtp_faults
from tests.support.postfix import REFUSALS, Postfix
from tests.support.postfix_conf import DOMAIN, MESSAGE_SIZE_LIMIT
from tests.support.require import missing

pytestmark = pytest.mark.interop

SECONDS = 20.0
SENDER = "sender@example.org"
HEADERS = (
    b"From: sender@example.org\r\nTo: you@example.test\r\nSubject: one\r\n"
    b"Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n"
)
"""All that Postfix would add itself."""
TRACE = re.compile(
    rb"\A(?:(?:Return-Path|X-Original-To|Delivered-To|Received):.*\n(?:[ \t].*\n)*)+"
)


@dataclass(frozen=True)
class Job:
    """What a client is told to do. ``{user}`` in a recipient is a new account at either server."""

    recipients: tuple[str, ...] = ("{user}",)
    raw: bytes = HEADERS + b"\r\ntext\r\n"
    security: str = "starttls"
    login: tuple[str, str] | None = None
    options: tuple[str, ...] = ()
    trusted: bool = True

    def context(self, ca_file: str) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=ca_file if self.trusted else None)


SubmissionOutcome = tuple[str, object]
"""``("sent", refused)`` with the codes of the recipients that were not taken, or the error."""

Run = Callable[[Job, int, str], SubmissionOutcome]


def run_smtplib(job: Job, port: int, ca_file: str) -> SubmissionOutcome:
    try:
        if job.security == "tls":
            made: smtplib.SMTP = smtplib.SMTP_SSL(
                "localhost", port, timeout=SECONDS, context=job.context(ca_file)
            )
        else:
            made = smtplib.SMTP("localhost", port, timeout=SECONDS)
        with made as client:
            if job.security == "starttls":
                client.starttls(context=job.context(ca_file))
            if job.login is not None:
                client.login(*job.login)
            refused = client.sendmail(SENDER, job.recipients, job.raw, job.options)
    except smtplib.SMTPRecipientsRefused as error:
        return type(error).__name__, sorted(code for code, _ in error.recipients.values())
    except smtplib.SMTPResponseException as error:
        return type(error).__name__, error.smtp_code
    except (smtplib.SMTPException, ssl.SSLError) as error:
        return type(error).__name__, None
    return "sent", sorted(code for code, _ in refused.values())


def run_aiosmtplib(job: Job, port: int, ca_file: str) -> SubmissionOutcome:
    import aiosmtplib

    user, password = job.login or (None, None)
    try:
        refused, _ = asyncio.run(
            aiosmtplib.send(
                job.raw,
                sender=SENDER,
                recipients=list(job.recipients),
                hostname="localhost",
                port=port,
                username=user,
                password=password,
                mail_options=list(job.options),
                use_tls=job.security == "tls",
                start_tls=job.security == "starttls",
                tls_context=None if job.security == "plain" else job.context(ca_file),
                timeout=SECONDS,
            )
        )
    except aiosmtplib.SMTPRecipientsRefused as error:
        return type(error).__name__, sorted(one.code for one in error.recipients)
    except aiosmtplib.SMTPResponseException as error:
        return type(error).__name__, error.code
    except (aiosmtplib.SMTPException, ssl.SSLError) as error:
        return type(error).__name__, None
    finally:
        _collect_transports()
    return "sent", sorted(code for code, _ in refused.values())


def _collect_transports() -> None:
    """Let go of the client's transports.

    aiosmtplib does not wait until a TLS transport has closed, which takes the server's answer; the
    end of the event loop then leaves it to the garbage collector.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(params=[run_smtplib, run_aiosmtplib], ids=["smtplib", "aiosmtplib"])
def client(request: pytest.FixtureRequest) -> Run:
    if request.param is run_aiosmtplib and importlib.util.find_spec("aiosmtplib") is None:
        missing("aiosmtplib", "it is not installed; nox -s interop installs it")
    run: Run = request.param
    return run


class Mirror:
    """An embedded server for each kind of security, set as the private Postfix is."""

    def __init__(self, postfix: Postfix, servers: dict[str, MailServer]) -> None:
        self.servers = servers
        for server in servers.values():
            server.add_user("me", postfix.password)
            server.smtp.local_domains.add(DOMAIN)
            server.smtp.max_message_bytes = MESSAGE_SIZE_LIMIT
            for name, answer in REFUSALS.items():
                server.faults.add(
                    smtp_faults.Answer(
                        "RCPT",
                        int(answer[:3]),
                        answer[4:],
                        recipient=f"{name}@{DOMAIN}",
                        times=None,
                        optional=True,  # not every client meets every server
                    )
                )


@pytest.fixture(scope="module")
def mirror(postfix: Postfix) -> Iterator[Mirror]:
    with (
        MailServer() as plain,
        MailServer(starttls=True) as starttls,
        MailServer(tls=True) as tls,
    ):
        yield Mirror(postfix, {"plain": plain, "starttls": starttls, "tls": tls})


def both(
    client: Run, job: Job, postfix: Postfix, mirror: Mirror
) -> tuple[SubmissionOutcome, str, MailServer]:
    """Do the job at both servers, which must make no difference to the client.

    Returns:
        How it ended; the name of ``{user}``; the embedded server.
    """
    server = mirror.servers[job.security]
    user = postfix.user()
    for account in {one.format(user=user) for one in job.recipients if "{user}" in one}:
        server.add_user(account, postfix.password)
    job = replace(job, recipients=tuple(one.format(user=user) for one in job.recipients))
    ports = {
        "plain": postfix.plain_port,
        "starttls": postfix.submission_port if job.login else postfix.smtp_port,
        "tls": postfix.smtps_port,
    }
    ours = client(job, server.smtp_port, server.ca_file)
    theirs = client(job, ports[job.security], str(postfix.ca_file))
    assert ours == theirs, f"{ours} here, {theirs} at Postfix"
    return ours, user, server


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"text\r\n", id="a line"),
        pytest.param(b"", id="no body"),
        pytest.param(b"no line end", id="no line end"),
        pytest.param(b".\r\n..\r\n...\r\n.x\r\n\r\n.\r\n", id="dots"),
        pytest.param(b"\r\n\r\n\r\n", id="empty lines"),
        pytest.param(b"\t indented \r\n", id="blanks at both ends"),
        pytest.param(b"x" * 990 + b"\r\n", id="a line of 990 octets"),
        pytest.param(bytes(range(128, 256)) + b"\r\n", id="eight bits"),
        pytest.param(b"line\r\n" * 5000, id="many lines"),
    ],
)
def test_a_message_arrives_octet_for_octet(
    client: Run, postfix: Postfix, mirror: Mirror, body: bytes
) -> None:
    raw = HEADERS + b"X-Folded: a\r\n b\r\n\r\n" + body
    outcome, user, server = both(client, Job(raw=raw), postfix, mirror)
    assert outcome == ("sent", [])
    (ours,) = server.wait_for_messages(user=user)
    (theirs,) = postfix.wait_for_mail(user)
    # A Maildir has the line ends of its system.
    assert TRACE.sub(b"", ours.raw.replace(b"\r\n", b"\n")) == TRACE.sub(b"", theirs.raw)
    for header in ("Return-Path", "Delivered-To"):
        assert ours.as_email()[header] == theirs.as_email()[header]
    assert ours.raw.startswith(b"Return-Path: ")
    assert f"for <{user}>" in str(ours.as_email()["Received"])
    assert f"for <{user}>" in str(theirs.as_email()["Received"])


WRONG = ("me", "wrong")
RIGHT = ("me", "open-sesame")


@pytest.mark.parametrize(
    ("job", "kind"),
    [
        pytest.param(Job(), "sent", id="STARTTLS"),
        pytest.param(Job(security="tls"), "sent", id="TLS at once"),
        pytest.param(Job(security="plain"), "sent", id="no TLS"),
        pytest.param(Job(trusted=False), None, id="STARTTLS with an unknown authority"),
        pytest.param(Job(trusted=False, security="tls"), None, id="an unknown authority"),
        pytest.param(Job(login=RIGHT), "sent", id="a login after STARTTLS"),
        pytest.param(Job(login=RIGHT, security="tls"), "sent", id="a login inside TLS"),
        pytest.param(Job(login=RIGHT, security="plain"), "sent", id="a login without TLS"),
        pytest.param(Job(login=WRONG), "SMTPAuthenticationError", id="a wrong password"),
        pytest.param(
            Job(recipients=("{user}", "unknown@example.test", "full@example.test")),
            "sent",
            id="some recipients refused",
        ),
        pytest.param(
            Job(recipients=("unknown@example.test", "grey@example.test")),
            "SMTPRecipientsRefused",
            id="all recipients refused",
        ),
        pytest.param(
            Job(recipients=("{user}", "{user}", "{user}")), "sent", id="a recipient thrice"
        ),
        pytest.param(
            Job(raw=HEADERS + b"\r\n" + b"x" * 70 * 1000), "SMTPSenderRefused", id="too large"
        ),
        pytest.param(
            Job(recipients=("jörg-{user}",), options=("SMTPUTF8",)), "sent", id="SMTPUTF8"
        ),
        *(
            pytest.param(
                Job(recipients=(f"{name}@example.test",)), "SMTPRecipientsRefused", id=answer
            )
            for name, answer in REFUSALS.items()
        ),
    ],
)
def test_the_client_notices_no_difference(
    client: Run, postfix: Postfix, mirror: Mirror, job: Job, kind: str | None
) -> None:
    outcome, _, _ = both(client, job, postfix, mirror)
    if kind is not None:
        assert outcome[0] == kind
