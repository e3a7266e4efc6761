"""A private Cyrus IMAP, in a root of its own."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.copying import Kept, keep, put_back
from tests.support.foreign import TLS, wait_until
from tests.support.roots import Recipe, Root, find_root
from tests.support.server import PrivateServer, place_of, running

RECIPE = Recipe(
    "cyrus", "bookworm", ("cyrus-imapd", "cyrus-admin", "sasl2-bin", "libsasl2-modules")
)
ADMIN = "cyrus"
UIDVALIDITY_SECONDS = 5.0
"""A new mailbox has the time in seconds for its UIDVALIDITY: until it is another one."""

_IMAPD = """\
configdirectory: {own}/conf
defaultpartition: default
partition-default: {own}/spool
proc_path: {own}/run/proc
mboxname_lockpath: {own}/run/lock
sievedir: {own}/sieve
idlesocket: {own}/run/idle
notifysocket: {own}/run/notify
lmtpsocket: {own}/run/lmtp
servername: localhost
admins: {admin}
altnamespace: yes
unixhierarchysep: yes
allowplaintext: yes
sasl_mech_list: PLAIN
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: {own}/run/sasl/mux
tls_server_cert: {own}/server.pem
tls_server_key: {own}/key.pem
autocreate_users: anyone
autocreate_quota: 0
delete_mode: immediate
expunge_mode: immediate
conversations: no
"""

_MASTER = """\
START {{
  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -r"
}}
SERVICES {{
  imap cmd="imapd -U 1000" listen="127.0.0.1:{port}" prefork=1 maxchild=200
  imaps cmd="imapd -s -U 1000" listen="127.0.0.1:{tls_port}" prefork=1 maxchild=200
}}
EVENTS {{
}}
DAEMON {{
  idled cmd="idled"
}}
"""

_PAM = """\
auth required pam_exec.so quiet expose_authtok {own}/password
account required pam_permit.so
"""

_PASSWORD = """\
#!/bin/sh
[ "$(tr -d '\\0')" = {password} ]
"""

# In memory: Cyrus waits for the disk at every message.
_RUN = """\
cd {own}
mount -t tmpfs tmpfs conf
mount -t tmpfs tmpfs spool
mkdir conf/socket
chown -R cyrus:mail conf run sieve spool key.pem
saslauthd -a pam -m {own}/run/sasl -n 2
exec /usr/sbin/cyrmaster -D -p {own}/run/master.pid
"""


class Cyrus(PrivateServer):
    """A Cyrus of one's own; a user's mailbox is made at the first login."""

    title = "Cyrus"

    def __init__(self, root: Root, directory: Path) -> None:
        super().__init__(directory)
        self._root = root
        for name in ("conf", "etc", "run/lock", "run/proc", "run/sasl", "sieve", "spool"):
            (directory / name).mkdir(parents=True)
        shutil.copy(TLS / "test-only-server.pem", directory / "server.pem")
        shutil.copy(TLS / "test-only-server-key.pem", directory / "key.pem")

    def configure(self) -> Sequence[str]:
        own = self.directory
        facts = {
            "own": own,
            "port": self.port,
            "tls_port": self.tls_port,
            "admin": ADMIN,
            "password": self.password,
        }
        texts = {"imapd.conf": _IMAPD, "cyrus.conf": _MASTER, "pam": _PAM}
        for name, text in texts.items():
            (own / "etc" / name).write_text(text.format_map(facts))
        (own / "password").write_text(_PASSWORD.format_map(facts))
        (own / "password").chmod(0o755)
        binds = [
            (own / "etc/imapd.conf", "/etc/imapd.conf"),
            (own / "etc/cyrus.conf", "/etc/cyrus.conf"),
            (own / "etc/pam", "/etc/pam.d/imap"),
        ]
        return self._root.within(own, binds, "sh", "-ec", _RUN.format_map(facts))

    def reset_uid_validity(self, user: str) -> int:
        with self.connect(user) as client:
            kept = keep(client)
        before = self.uid_validity(user)
        # Only an administrator removes an INBOX. What is made in the same second is the same anew.
        wait_until(lambda: time.time() >= before + 1, UIDVALIDITY_SECONDS)
        with self.connect(ADMIN) as admin:
            for command in (
                ("SETACL", f"user/{user}", ADMIN, "lrswipkxtecda"),
                ("DELETE", f"user/{user}"),
                ("CREATE", f"user/{user}"),
                ("SETACL", f"user/{user}", user, "lrswipkxtecdn"),
            ):
                status, answer = admin.xatom(*command)
                assert status == "OK", (command, answer)
        return self._put_back(user, kept, before)

    def _put_back(self, user: str, kept: list[Kept], before: int) -> int:
        with self.connect(user) as client:
            put_back(client, kept)
        after = self.uid_validity(user)
        assert after != before, f"UIDVALIDITY is still {before}"
        return after


@contextlib.contextmanager
def start_cyrus() -> Iterator[Cyrus]:
    """A Cyrus that runs until the block ends."""
    root = find_root(RECIPE)
    with place_of("cyrus") as directory:
        server = Cyrus(root, directory)
        with running(server):
            yield server
