"""A private Courier IMAP, in a root of its own."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.foreign import TLS
from tests.support.roots import Recipe, Root, find_root
from tests.support.server import PrivateServer, place_of, running

RECIPE = Recipe(
    "courier", "bookworm", ("courier-imap", "courier-authdaemon", "courier-authlib-pipe")
)
OWNER = 65534
"""Whose the mail is: nobody's, on every system."""
CAPABILITIES = (
    "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA "
    "AUTH=PLAIN IDLE"
)
IDLE_SECONDS = 1
"""How often its IDLE looks for news; the packaged setting is a minute."""

_AUTHDAEMON = """\
authmodulelist="authpipe"
authmodulelistorig="authpipe"
daemons=3
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=0
DEFAULTOPTIONS=""
LOGGEROPTS=""
"""

# The protocol of authpipe: a command in a line, the facts of an account and a dot in answer.
_ACCOUNTS = """\
#!/bin/sh
account() {{
    home={own}/mail/$1
    if [ ! -d "$home/Maildir" ]; then
        mkdir -p "$home"
        maildirmake.courier "$home/Maildir"
        chown -R {owner}:{owner} "$home"
    fi
    printf 'UID={owner}\\nGID={owner}\\nHOME=%s\\nADDRESS=%s\\nPASSWD={password}\\n.\\n' \\
        "$home" "$1"
}}
while read -r command first rest; do
    if [ "$command" = AUTH ]; then
        read -r service
        read -r kind
        read -r user
        read -r given
        if [ "$kind $given" = "login {password}" ]; then account "$user"; else echo FAIL; fi
    elif [ "$command" = PRE ]; then
        account "${{rest#* }}"
    else
        echo FAIL
    fi
done
"""

_IMAPD = """
ADDRESS=127.0.0.1
PORT={port}
MAXDAEMONS=200
MAXPERIP=200
IMAP_CAPABILITY="{capabilities}"
IMAP_CAPABILITY_TLS="$IMAP_CAPABILITY"
IMAP_USELOCKS=1
IMAP_ENHANCEDIDLE=0
IMAP_IDLE_TIMEOUT={idle}
IMAP_EMPTYTRASH=
"""

_IMAPD_SSL = """
SSLADDRESS=127.0.0.1
SSLPORT={tls_port}
TLS_CERTFILE={own}/server.pem
TLS_DHPARAMS=
TLS_CACHEFILE=
"""

_RUN = """\
chown courier {own}/run {own}/run/authdaemon
authdaemond start
imapd start
imapd-ssl start
trap 'exit 0' TERM
sleep infinity &
wait
"""


class Courier(PrivateServer):
    """A Courier of one's own; a user's Maildir is made at the first login."""

    title = "Courier"
    prefix = "INBOX."

    def __init__(self, root: Root, directory: Path) -> None:
        super().__init__(directory)
        self._root = root
        (directory / "run/authdaemon").mkdir(parents=True)
        (directory / "mail").mkdir()
        shutil.chown(directory / "mail", OWNER, OWNER)
        shutil.copytree(root.path / "etc/courier", directory / "etc")
        (directory / "etc/imapaccess/default").write_text("127.0.0.1\tallow\n")
        both = [TLS / "test-only-server-key.pem", TLS / "test-only-server.pem"]
        (directory / "server.pem").write_text("".join(path.read_text() for path in both))

    def configure(self) -> Sequence[str]:
        facts = {
            "own": self.directory,
            "port": self.port,
            "tls_port": self.tls_port,
            "password": self.password,
            "owner": OWNER,
            "capabilities": CAPABILITIES,
            "idle": IDLE_SECONDS,
        }
        etc = self.directory / "etc"
        for name, text in (("imapd", _IMAPD), ("imapd-ssl", _IMAPD_SSL)):
            given = (self._root.path / "etc/courier" / name).read_text()
            (etc / name).write_text(given + text.format_map(facts))
        (etc / "authdaemonrc").write_text(_AUTHDAEMON)
        (etc / "authProg").write_text(_ACCOUNTS.format_map(facts))
        (etc / "authProg").chmod(0o755)
        binds = [(etc, "/etc/courier"), (self.directory / "run", "/run/courier")]
        return self._root.within(self.directory, binds, "sh", "-ec", _RUN.format_map(facts))

    def reset_uid_validity(self, user: str) -> int:
        before = self.uid_validity(user)
        path = self.directory / "mail" / user / "Maildir" / "courierimapuiddb"
        # A line for the mailbox (format, UIDVALIDITY, UIDNEXT), then one for each message.
        head, *messages = path.read_text().splitlines()
        number, uid_validity, _ = head.split(" ", 2)
        names = [line.split(" ", 1)[1] for line in messages]
        lines = [f"{uid} {name}" for uid, name in enumerate(names, 1)]
        first = f"{number} {int(uid_validity) + 1} {len(names) + 1}"
        path.write_text("\n".join([first, *lines]) + "\n")
        after = self.uid_validity(user)
        assert after != before, f"UIDVALIDITY is still {before}"
        return after


@contextlib.contextmanager
def start_courier() -> Iterator[Courier]:
    """A Courier that runs until the block ends."""
    root = find_root(RECIPE)
    with place_of("courier") as directory:
        server = Courier(root, directory)
        with running(server):
            yield server
