"""The configuration of a private Postfix, from 3.6 on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DOMAIN = "example.test"
BOUNCE_DOMAIN = "bounce.test"
DEFER_DOMAIN = "defer.test"
HOST_NAME = f"mail.{DOMAIN}"

MESSAGE_SIZE_LIMIT = 65_536
"""Octets: small, so that a test need not send megabytes to go beyond."""
RECIPIENT_LIMIT = 50

REFUSALS = {
    "denied": "550 5.7.1 Recipient refused by policy",
    "full": "552 5.2.2 Mailbox full",
    "grey": "450 4.2.0 Greylisted, try again later",
    "broken": "451 4.3.0 Local error in processing",
    "crowded": "452 4.2.2 Insufficient system storage",
    "gone": "554 5.7.1 This account is closed",
    "busy": "421 4.3.2 Too busy, closing",
}
"""What RCPT TO is answered, by the recipient's local part. ``busy`` closes the connection too."""

UNKNOWN = "unknown"
"""A local part that begins so is answered ``550 5.1.1 … User unknown``."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a private Postfix listens; see `tests.support.postfix.Postfix`."""

    smtp: int
    smtps: int
    submission: int
    plain: int
    strict: int


@dataclass(frozen=True, slots=True)
class Site:
    """Where a private Postfix lives, and whom it asks about passwords."""

    directory: Path
    ports: Ports
    auth_port: int
    certificate: Path
    key: Path
    mail_uid: int
    mail_gid: int


_MAIN = """\
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = {directory}/log/mail.log
maillog_file_prefixes = {directory}/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = {host_name}
mydomain = {domain}
myorigin = {domain}
mydestination =
# No client is trusted because of its address.
mynetworks = 127.255.255.255/32
alias_maps =
alias_database =
local_recipient_maps =
recipient_delimiter = +
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {directory}
virtual_mailbox_maps = regexp:{directory}/etc/mailboxes
virtual_minimum_uid = 1
virtual_uid_maps = static:{mail_uid}
virtual_gid_maps = static:{mail_gid}
virtual_transport = virtual
# Nothing leaves the machine: what is for nobody here is thrown away.
default_transport = discard:no way out of this test server
relay_transport = discard:no way out of this test server
transport_maps = inline:{{
  {{ {bounce_domain} = bouncer: }}
  {{ {defer_domain} = deferrer: }} }}
disable_dns_lookups = yes
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions =
  check_recipient_access regexp:{directory}/etc/refusals, reject_unlisted_recipient
smtpd_recipient_limit = {recipient_limit}
# A client that fails on purpose is not slowed down, and ten clients are no attack.
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_client_connection_count_limit = 0
smtpd_client_event_limit_exceptions =
message_size_limit = {message_size_limit}
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtp_tls_security_level = none
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{auth_port}
smtpd_sasl_authenticated_header = yes
smtputf8_enable = yes
notify_classes =
"""

_SERVICES = """\
127.0.0.1:{ports.smtp} inet n - n - 200 smtpd
127.0.0.1:{ports.smtps} inet n - n - 200 smtpd
  -o smtpd_tls_wrappermode=yes
127.0.0.1:{ports.submission} inet n - n - 200 smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
127.0.0.1:{ports.plain} inet n - n - 200 smtpd
  -o smtpd_tls_security_level=none
  -o smtpd_tls_auth_only=no
127.0.0.1:{ports.strict} inet n - n - 200 smtpd
  -o smtpd_forbid_bare_newline=reject
  -o smtpd_forbid_bare_newline_exclusions=
  -o smtpd_forbid_unauth_pipelining=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
# Not the transports `error` and `retry`: smtpd would refuse their recipients at once.
bouncer unix - n n - 1 pipe
  flags=Rq user=nobody argv=/bin/sh {directory}/etc/bounce
deferrer unix - n n - 1 pipe
  flags=Rq user=nobody argv=/bin/sh {directory}/etc/defer
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def main_cf(site: Site, overrides: Mapping[str, str]) -> str:
    """The text of ``main.cf``; ``overrides`` come last, and the last word counts."""
    text = _MAIN.format(
        directory=site.directory,
        host_name=HOST_NAME,
        domain=DOMAIN,
        bounce_domain=BOUNCE_DOMAIN,
        defer_domain=DEFER_DOMAIN,
        mail_uid=site.mail_uid,
        mail_gid=site.mail_gid,
        recipient_limit=RECIPIENT_LIMIT,
        message_size_limit=MESSAGE_SIZE_LIMIT,
        certificate=site.certificate,
        key=site.key,
        auth_port=site.auth_port,
    )
    taken = [line for line in text.splitlines() if line.partition(" = ")[0] not in overrides]
    return "\n".join([*taken, *(f"{name} = {value}" for name, value in overrides.items()), ""])


def master_cf(site: Site) -> str:
    """The text of ``master.cf``: what listens, and the services behind it."""
    return _SERVICES.format(ports=site.ports, directory=site.directory)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that Postfix expects, with its mode; it is Postfix' own unless ``root``."""

    name: str
    mode: int = 0o700
    root: bool = False
    drop: bool = False


FOLDERS = (
    Folder("etc", 0o755, root=True),
    Folder("log", 0o755, root=True),
    Folder("data"),
    Folder("queue", 0o755, root=True),
    Folder("queue/pid", 0o755, root=True),
    Folder("queue/maildrop", 0o1730, drop=True),
    Folder("queue/public", 0o710, drop=True),
    Folder("queue/private"),
    *(
        Folder(f"queue/{name}")
        for name in (
            *("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming"),
            *("saved", "trace"),
        )
    ),
)
"""What ``postfix start`` would make, in two seconds of shell."""


def tables() -> dict[str, str]:
    """The lookup tables, and what bounces or defers a message, by their file's name in ``etc``."""
    refusals = [f"/^{name}[^@]*@/ {answer}" for name, answer in REFUSALS.items()]
    return {
        "refusals": "\n".join([*refusals, ""]),
        # One Maildir for all: virtual(8) lets no pattern name a path.
        "mailboxes": f"!/^{UNKNOWN}[^@]*@/ mail/\n",
        "bounce": "cat >/dev/null\necho 5.1.2 no such host in this test\nexit 67\n",
        "defer": "cat >/dev/null\necho 4.4.1 no connection in this test\nexit 75\n",
    }
