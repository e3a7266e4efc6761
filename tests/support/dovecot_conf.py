"""The configuration of a private Dovecot, for 2.3 and for 2.4, which share few names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Account:
    """The system users that Dovecot runs as.

    Attributes:
        mail: the user that owns the mail.
        mail_group: that user's group.
        internal: the user of Dovecot's own processes.
        internal_group: that user's group.
        login: the user of the processes that speak to strangers.
    """

    mail: str
    mail_group: str
    internal: str
    internal_group: str
    login: str


def system_account() -> Account:
    """Dovecot's own users for root, who may change to them; otherwise whoever runs the tests."""
    import grp  # not on Windows, where there is no Dovecot either
    import pwd

    if os.getuid() == 0:
        group = grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
        return Account("nobody", group, "dovecot", "dovecot", "dovenull")
    user = pwd.getpwuid(os.getuid()).pw_name
    group = grp.getgrgid(os.getgid()).gr_name
    return Account(user, group, user, group, user)


@dataclass(frozen=True, slots=True)
class Site:
    """Where a private Dovecot lives and listens."""

    directory: Path
    port: int
    tls_port: int
    certificate: Path
    key: Path
    password: str
    account: Account


_COMMON = """\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
protocols = imap
listen = 127.0.0.1
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
ssl = yes
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 1000
# Nothing here outlives the run.
mail_fsync = never
# A refused login is answered at once, however many there were.
auth_failure_delay = 0
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  process_min_avail = 1
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 1024
}}
"""

_DOVECOT_2_3 = (
    _COMMON
    + """\
# One process for all logins, instead of a new one for each.
service imap-login {{
  service_count = 0
}}
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
mail_location = maildir:{directory}/mail/%u
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={mail} gid={mail_group} home={directory}/home/%u
}}
"""
)

# 2.4 reads a configuration only when its first lines say which release it was written for.
_DOVECOT_2_4 = (
    """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
"""
    + _COMMON
    + """\
service imap-login {{
  restart_request_count = unlimited
}}
ssl_server_cert_file = {certificate}
ssl_server_key_file = {key}
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = {directory}/mail/%{{user}}
passdb static {{
  password = {password}
}}
userdb static {{
  fields {{
    uid = {mail}
    gid = {mail_group}
    home = {directory}/home/%{{user}}
  }}
}}
namespace inbox {{
  inbox = yes
}}
"""
)


def configuration(version: tuple[int, int], site: Site) -> str:
    """The text of ``dovecot.conf`` for a Dovecot of ``version``."""
    template = _DOVECOT_2_4 if version >= (2, 4) else _DOVECOT_2_3
    account = site.account
    return template.format(
        directory=site.directory,
        port=site.port,
        tls_port=site.tls_port,
        certificate=site.certificate,
        key=site.key,
        password=site.password,
        mail=account.mail,
        mail_group=account.mail_group,
        internal=account.internal,
        internal_group=account.internal_group,
        login=account.login,
    )
