"""The steps to handing in mail, one by one, each with what to do when it fails. Nothing is sent."""

from __future__ import annotations

import base64
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, suppress

from nornmail.reach import PATIENCE, Port, described, reach, speaks_tls, tls_failure
from nornmail.settings import SmtpSettings
from nornmail.steps import Step

SHOWN = 300
"""Characters of a server's text that are shown."""
MASK = "****"
_OK = 250
_AUTHENTICATED = 235
_PLAIN_ADVICE = "465 is the port for TLS from the first octet: set SMTP_PORT, mostly to 587"
_TLS_ADVICE = "the port speaks TLS from the first octet: set SMTP_PORT=465"
_LOGIN_ADVICE = (
    "check SMTP_USERNAME and SMTP_PASSWORD; many providers want an app password here, not the "
    "account's own"
)


def probe_smtp(settings: SmtpSettings) -> Iterator[Step]:
    """Go the way to the server: name, TCP, TLS, greeting, STARTTLS, login, NOOP; then QUIT.

    The password is not sent in clear unless the settings say so. The way ends with the first step
    that fails.
    """
    port = Port(
        protocol="SMTP",
        host=settings.host,
        port=settings.port,
        ca_file=settings.ca_file,
        seconds=min(settings.timeout, PATIENCE),
        plain_advice=_PLAIN_ADVICE,
        tls_advice=_TLS_ADVICE,
    )
    if (yield from reach(port, tls=settings.implicit_tls)):
        yield from _Probe(settings, port).steps()


class _Refused(Exception):
    """A step failed: what was said, and what to do."""

    def __init__(self, said: str, advice: str) -> None:
        self.said = said
        self.advice = advice
        super().__init__(said)


class _Probe:
    """One conversation with the server."""

    def __init__(self, settings: SmtpSettings, port: Port) -> None:
        self._settings = settings
        self._port = port

    def steps(self) -> Iterator[Step]:
        name = "SMTP greeting"
        with ExitStack() as stack:
            try:
                smtp = self._greeted()
                stack.callback(_leave, smtp)
                yield Step(name, True, self._shown(smtp.ehlo_resp or smtp.helo_resp))
                if self._settings.use_tls and not self._settings.implicit_tls:
                    name = "SMTP STARTTLS"
                    yield Step(name, True, self._secured(smtp))
                name = "SMTP login"
                yield Step(name, True, self._entered(smtp))
                name = "SMTP NOOP"
                code, text = smtp.noop()
                yield Step(name, code == _OK, f"{code} {self._shown(text)}")
            except _Refused as refused:
                yield Step(name, False, refused.said, refused.advice)
            except (OSError, smtplib.SMTPException, ValueError) as error:
                yield Step(name, False, *self._translated(error))

    def _greeted(self) -> smtplib.SMTP:
        settings, seconds = self._settings, self._port.seconds
        smtp: smtplib.SMTP
        if settings.implicit_tls:
            context = ssl.create_default_context(cafile=settings.ca_file)
            smtp = smtplib.SMTP_SSL(settings.host, settings.port, timeout=seconds, context=context)
        else:
            smtp = smtplib.SMTP(settings.host, settings.port, timeout=seconds)
        try:
            smtp.ehlo_or_helo_if_needed()
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _secured(self, smtp: smtplib.SMTP) -> str:
        if not smtp.has_extn("starttls"):
            raise _Refused(
                "the server offers no STARTTLS, and nothing secret was sent",
                "set SMTP_PORT to one that does, mostly 587 or 465; SMTP_USE_TLS=false sends "
                "everything in clear, the password as well",
            )
        try:
            context = ssl.create_default_context(cafile=self._settings.ca_file)
        except (OSError, ValueError) as error:
            said = f"{self._settings.ca_file} cannot be read as certificates in PEM"
            raise _Refused(said, "check SMTP_CA_FILE") from error
        try:
            smtp.starttls(context=context)
        except (ssl.SSLError, TimeoutError) as error:
            raise _Refused(*tls_failure(self._port, error)) from error
        smtp.ehlo()
        return described(smtp.sock) if isinstance(smtp.sock, ssl.SSLSocket) else "TLS"

    def _entered(self, smtp: smtplib.SMTP) -> str:
        """Log in, once: a server counts each try with a wrong password."""
        username, password = self._settings.username, self._settings.password or ""
        if username is None:
            return "nobody logs in, as SMTP_USERNAME is not set"
        offered = smtp.esmtp_features.get("auth", "").upper().split()
        if "PLAIN" in offered:
            message = base64.b64encode(f"\0{username}\0{password}".encode()).decode("ascii")
            code, text = smtp.docmd("AUTH", f"PLAIN {message}")
            if code != _AUTHENTICATED:
                raise smtplib.SMTPAuthenticationError(code, text)
        elif "LOGIN" in offered:
            smtp.user, smtp.password = username, password
            smtp.auth("LOGIN", smtp.auth_login)
        else:
            shown = " ".join(offered) or "nothing"
            raise _Refused(
                f"the server takes no password here (it offers: {shown})",
                "check SMTP_PORT; a port for relaying between servers wants no login",
            )
        return f"as {username}"

    def _translated(self, error: Exception) -> tuple[str, str]:
        """An error in words, and what to do about it."""
        if isinstance(error, smtplib.SMTPAuthenticationError):
            said = f"the server refused the login: {error.smtp_code} "
            return said + self._shown(error.smtp_error), _LOGIN_ADVICE
        if isinstance(error, smtplib.SMTPResponseException):
            said = f"the server says {error.smtp_code} {self._shown(error.smtp_error)}"
            return said, "try again later; if it stays, ask the server's owner"
        if not self._settings.implicit_tls and speaks_tls(self._port):
            return "the server does not greet", self._port.tls_advice
        said = "it does not answer in time" if isinstance(error, TimeoutError) else str(error)
        return self._shown(said or type(error).__name__), "check SMTP_HOST and SMTP_PORT"

    def _shown(self, text: bytes | str | None) -> str:
        """The first line of a server's words without what is secret or cannot be printed."""
        words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text or ""
        for secret in self._secrets():
            words = words.replace(secret, MASK)
        line = words.partition("\n")[0][: 4 * SHOWN]
        return " ".join("".join(c if c.isprintable() else " " for c in line).split())[:SHOWN]

    def _secrets(self) -> list[str]:
        password = self._settings.password
        if not password:
            return []
        plain = f"\0{self._settings.username}\0{password}"
        encoded = (base64.b64encode(one.encode()).decode("ascii") for one in (plain, password))
        return [*encoded, password]


def _leave(smtp: smtplib.SMTP) -> None:
    """Say QUIT and close the socket; nothing depends on the answer."""
    with suppress(OSError, smtplib.SMTPException):
        smtp.quit()
    smtp.close()
