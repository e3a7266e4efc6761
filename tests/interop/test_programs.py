"""mbsync and fetchmail do the same things to both servers, and leave the same behind."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.interop.peers import Peer
from tests.support.octets import lines
from tests.support.require import program

pytestmark = pytest.mark.interop

TwoPeers = tuple[Peer, Peer]

MBSYNC = """\
IMAPAccount there
Host {host}
Port {port}
User {user}
Pass {password}
SSLType None
AuthMechs {mechanism}

IMAPStore far
Account there

MaildirStore near
Path {home}/
Inbox {home}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
"""

FETCHMAIL = """\
poll "{host}" protocol imap port {port} auth password bad-header accept
  user "{user}" password "{password}" sslproto ''
  {options}
  no rewrite
  mda "{store}"
"""

STORE = """\
#!/bin/sh
# Each letter becomes a file of its own, in the order in which they come.
number=$(ls "{home}/got" | wc -l)
cat > "{home}/got/$(printf %04d "$number")"
"""


def run(home: Path, *command: str) -> str:
    """The program's output; it must not take long, nor fail."""
    done = subprocess.run(
        command,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr + done.stdout
    return done.stdout + done.stderr


# mbsync


def mbsync(peer: Peer, home: Path, mechanism: str = "LOGIN") -> None:
    config = home / "mbsyncrc"
    config.write_text(
        MBSYNC.format(
            host=peer.host,
            port=peer.port,
            user=peer.user,
            password=peer.password,
            mechanism=mechanism,
            home=home,
        )
    )
    said = run(home, program("mbsync"), "-c", str(config), "-a")
    assert "Error" not in said, said


def letters_in(maildir: Path) -> list[tuple[bytes, str]]:
    """The letters without the line that mbsync puts in, and their flags."""
    found = []
    for path in [*maildir.glob("cur/*"), *maildir.glob("new/*")]:
        text = re.sub(rb"(?m)^X-TUID: .*\n", b"", path.read_bytes())
        found.append((text, path.name.partition(":2,")[2]))
    return sorted(found)


def on_server(peer: Peer) -> list[tuple[bytes, int, object, object]]:
    """The mailboxes, and what is in them."""
    seen: list[tuple[bytes, int, object, object]] = []
    with peer.connect() as client:
        names = sorted(line.rsplit(b" ", 1)[1] for line in lines(client.list()[1]))
        for name in names:
            client.select(name.decode(), readonly=True)
            count = client.search(None, "ALL")[1][0].split()
            flags = client.search(None, "FLAGGED")[1], client.search(None, "SEEN")[1]
            sizes = client.fetch("1:*", "(RFC822.SIZE)")[1] if count else []
            seen.append((name, len(count), flags, sizes))
    return seen


def test_mbsync_takes_every_letter(readers: TwoPeers, tmp_path: Path) -> None:
    taken = []
    for peer in readers:
        home = tmp_path / peer.name
        home.mkdir()
        mbsync(peer, home)
        taken.append(letters_in(home / "INBOX"))
    assert len(taken[0]) == 200
    assert taken[0] == taken[1]


def test_mbsync_brings_changes_back(writers: TwoPeers, tmp_path: Path) -> None:
    after = []
    for peer in writers:
        home = tmp_path / peer.name
        home.mkdir()
        peer.append([b"Subject: x\r\n\r\nx\r\n"], flags=["\\Seen"])
        mbsync(peer, home)
        inbox = home / "INBOX"
        files = sorted(inbox.glob("*/*"), key=lambda path: path.read_bytes())
        letters = [path for path in files if path.parent.name in ("cur", "new")]
        letters[0].unlink()
        letters[1].rename(inbox / "cur" / f"{letters[1].name.partition(':')[0]}:2,FS")
        own = home / "Own"
        for name in ("cur", "new", "tmp"):
            (own / name).mkdir(parents=True)
        (own / "cur" / "1.x:2,S").write_bytes(b"Subject: own\n\nmine\n")
        with peer.connect() as client:
            client.select("INBOX")
            client.store("7", "+FLAGS", "(\\Answered)")
        mbsync(peer, home)
        mbsync(peer, home)
        after.append((on_server(peer), letters_in(inbox), letters_in(own)))
    assert after[0] == after[1]
    (listed, near, _) = after[0]
    assert len(near) == 6
    assert [name for name, *_ in listed] == [b"INBOX", b"Own"]


# fetchmail


def fetchmail(peer: Peer, home: Path, options: str) -> list[bytes]:
    """What fetchmail hands on, without the line that it adds."""
    (home / "got").mkdir(exist_ok=True)
    store, config = home / "store", home / "fetchmailrc"
    store.write_text(STORE.format(home=home))
    store.chmod(0o755)
    config.write_text(
        FETCHMAIL.format(
            host=peer.host,
            port=peer.port,
            user=peer.user,
            password=peer.password,
            options=options,
            store=store,
        )
    )
    config.chmod(0o600)
    arguments = ("-f", str(config), "--nodetach", "--nosyslog", "--pidfile", str(home / "pid"))
    run(home, program("fetchmail"), *arguments)
    return [
        re.sub(rb"\AReceived: (?:.*\n[ \t])*.*\n", b"", path.read_bytes())
        for path in sorted((home / "got").iterdir())
    ]


def test_fetchmail_takes_every_letter(readers: TwoPeers, tmp_path: Path) -> None:
    taken = []
    for peer in readers:
        home = tmp_path / peer.name
        home.mkdir()
        taken.append(fetchmail(peer, home, "fetchall keep"))
    assert len(taken[0]) == 200
    assert taken[0] == taken[1]


def test_fetchmail_takes_what_is_unread_and_removes_it(writers: TwoPeers, tmp_path: Path) -> None:
    taken = []
    for peer in writers:
        home = tmp_path / peer.name
        home.mkdir()
        with peer.connect() as client:
            client.select("INBOX")
            client.store("1:2", "+FLAGS", "(\\Seen)")
        taken.append((fetchmail(peer, home, "no keep"), on_server(peer)))
    assert len(taken[0][0]) == 4
    assert taken[0] == taken[1]
