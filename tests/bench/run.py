"""The project's own benchmark, with the peers in the same run: ``nox -s bench``.

Every peer takes all messages of a mailbox, decodes subject, addresses, date, plain text, HTML and
attachments, and sets ``\\Seen``. nornmail also commits each message durably before it goes on. Each
peer runs in a process of its own; the rounds are interleaved, and medians are printed. CPU is the
client's own: it is the figure to compare on a machine that does other things as well.

The server is a Dovecot where one is installed, else nornmail's test server in another process,
which is slow: what its peers have in common is then mostly waiting for it.
"""

from __future__ import annotations

import argparse
import contextlib
import email
import imaplib
import importlib.util
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from email.header import decode_header, make_header
from email.utils import formatdate, getaddresses, parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from nornmail import (
    ImapSettings,
    JsonStateStore,
    Mailer,
    MemoryStateStore,
    Poller,
    SendLimits,
    SmtpSettings,
    SqliteStateStore,
    parse_message,
)
from nornmail.model import (
    Digest,
    Entry,
    EntryKey,
    Epoch,
    MailboxKey,
    MailboxRecord,
    PutEntry,
    SaveMailbox,
    State,
    Watermark,
)
from nornmail.stores.sql_store import SqlStateStore
from nornmail.testing import MailServer, Proxy
from nornmail.testing import __file__ as testing
from tests.bench.plot import plot
from tests.bench.waiting import PASSWORD, USER, arrivals, compiling, disk, start_up
from tests.message.made_mail import Maker
from tests.support import postgresql

WINDOW = 100
"""Messages that the peers ask for in one FETCH, as nornmail does."""
AUTHORITY = Path(testing).parent / "tls" / "test-only-ca.pem"
REPLIES = 300
POLLS = 50
IN_MEMORY = "/dev/shm"
GROWTH = 100_000
LIVE = 1_000
"""Entries that the retention leaves of them."""

STORES: dict[str, Callable[[str], SqlStateStore]] = {
    "sqlite": lambda directory: SqliteStateStore(f"{directory}/state.db"),
    "json": lambda directory: JsonStateStore(f"{directory}/state.json"),
    "memory": lambda _: MemoryStateStore(),
}
GROWN: dict[str, Callable[[str], SqlStateStore]] = {
    **STORES,
    "postgres": lambda directory: postgresql.open_postgres(Path(directory)),
}
"""The stores whose growth is measured; PostgreSQL where there is one, and psycopg."""
REOPENED = 3
"""Times that a store is opened again: the fastest counts."""


class Ports(NamedTuple):
    """The ports of a server; ``tls`` is 0 where it has none for TLS."""

    plain: int
    tls: int = 0


# Peers: each takes a mailbox, and returns how many octets of attachments it decoded.


def raw_floor(ports: Ports) -> int:
    """One FETCH of everything, thrown away: no client can be faster."""
    with socket.create_connection(("127.0.0.1", ports.plain)) as sock:
        stream = sock.makefile("rb")
        stream.readline()
        for tag, command in enumerate(
            (f"LOGIN {USER} {PASSWORD}", "SELECT INBOX", "UID FETCH 1:* (UID BODY.PEEK[])")
        ):
            sock.sendall(f"t{tag} {command}\r\n".encode())
            while not stream.readline().startswith(f"t{tag} OK".encode()):
                pass
    return 0


def by_hand(ports: Ports) -> int:
    """imaplib and the standard library's parser, as a careful program uses them."""
    octets = 0
    with imaplib.IMAP4("127.0.0.1", ports.plain) as client:
        client.login(USER, PASSWORD)
        client.select()
        uids = client.uid("SEARCH", "ALL")[1][0].split()
        for at in range(0, len(uids), WINDOW):
            window = b",".join(uids[at : at + WINDOW]).decode()
            for item in client.uid("FETCH", window, "(UID BODY.PEEK[])")[1]:
                if isinstance(item, tuple):
                    octets += _decode(email.message_from_bytes(item[1]))
            client.uid("STORE", window, "+FLAGS.SILENT", r"(\Seen)")
    return octets


def _decode(message: Any) -> int:
    _ = str(make_header(decode_header(message["Subject"] or "")))
    _ = getaddresses([message["From"] or "", message["To"] or ""])
    with contextlib.suppress(ValueError, TypeError):
        parsedate_to_datetime(message["Date"])
    octets = 0
    for part in message.walk():
        if not part.is_multipart():
            content = part.get_payload(decode=True)
            if part.get_filename():
                octets += len(content)
            else:
                content.decode(part.get_content_charset() or "ascii", "replace")
    return octets


def with_imap_tools(ports: Ports) -> int:
    imap_tools = importlib.import_module("imap_tools")
    octets = 0
    unencrypted = imap_tools.MailBoxUnencrypted("127.0.0.1", ports.plain)
    with unencrypted.login(USER, PASSWORD) as mailbox:
        for message in mailbox.fetch(mark_seen=False, bulk=WINDOW):
            _ = (message.subject, message.from_values, message.to_values, message.date)
            _ = (message.text, message.html)
            octets += sum(len(one.payload) for one in message.attachments)
        mailbox.flag(mailbox.uids(), r"\Seen", True)
    return octets


def settings_of(ports: Ports, *, tls: bool = False) -> ImapSettings:
    return ImapSettings(
        host="127.0.0.1",
        port=ports.tls if tls else ports.plain,
        username=USER,
        password=PASSWORD,
        use_ssl=tls,
        ca_file=str(AUTHORITY) if tls else None,
    )


def with_nornmail(
    ports: Ports,
    store: str,
    *,
    tls: bool = False,
    directory: str | None = None,
    text: str = "plain_text",
) -> int:
    octets = 0

    def handle(message: Any) -> None:
        nonlocal octets
        _ = (message.subject, message.from_, message.to, message.date)
        _ = (getattr(message, text), message.html)
        octets += sum(len(one.content) for one in message.attachments)

    with tempfile.TemporaryDirectory(dir=directory) as place:
        opened = STORES[store](place)
        settings = settings_of(ports, tls=tls)
        poller = Poller(settings, store=opened, on_message=handle, start_from="all")
        while poller.poll_once().new:
            pass
        opened.close()
    return octets


PEERS: dict[str, Callable[[Ports], int]] = {
    "raw floor": raw_floor,
    "imaplib, by hand": by_hand,
    "imap_tools": with_imap_tools,
    "nornmail, sqlite": lambda ports: with_nornmail(ports, "sqlite"),
    "nornmail, JSON": lambda ports: with_nornmail(ports, "json"),
    "nornmail, memory": lambda ports: with_nornmail(ports, "memory"),
    "nornmail, sqlite over TLS": lambda ports: with_nornmail(ports, "sqlite", tls=True),
    "nornmail, sqlite without a disk": lambda ports: with_nornmail(
        ports, "sqlite", directory=IN_MEMORY
    ),
    "nornmail, sqlite, with the text of the HTML": lambda ports: with_nornmail(
        ports, "sqlite", text="text"
    ),
}
""""Without a disk" commits durably to a file system in memory."""
PLOTTED = 6
BASE = "imap_tools"


def one_peer(name: str, ports: Ports) -> None:
    """Run a peer in this process, and print what it took."""
    cpu, wall = _cpu(), time.perf_counter()
    octets = PEERS[name](ports)
    figures = {
        "wall": time.perf_counter() - wall,
        "cpu": _cpu() - cpu,
        "memory": _peak_memory(),
        "octets": octets,
    }
    print(json.dumps(figures))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# Servers


def made(kind: str, number: int) -> tuple[list[bytes], int]:
    """Messages, and the octets of their attachments."""
    if kind == "mixed":
        messages = list(Maker(1).messages(number))
        return [one.raw for one in messages], sum(len(o) for one in messages for _, o in one.files)
    lines = 20 if kind == "small" else 16_000
    text = "A line of plain text, as people write them in short messages.\r\n" * lines
    head = (
        "Received: from a.example.org by b.example.com; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
        "From: Ann <ann{0}@example.org>\r\nTo: Bob <bob@example.com>\r\nSubject: Message {0}\r\n"
        "Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <{0}@example.org>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    return [(head.format(number) + text).encode() for number in range(number)], 0


def serve(kind: str, number: int) -> None:
    """Run the test server until standard input ends; its port is printed."""
    with MailServer() as server:
        server.add_user(USER, PASSWORD)
        for raw in made(kind, number)[0]:
            server.deliver(raw)
        print(server.imap_port, flush=True)
        sys.stdin.read()


@contextlib.contextmanager
def embedded(kind: str, number: int) -> Iterator[Ports]:
    command = [sys.executable, __file__, "--serve", kind, "--messages", str(number)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Ports(int(process.stdout.readline()))
        process.stdin.close()


def _dovecot_program() -> str | None:
    from tests.support.foreign import search_path

    return shutil.which("dovecot", path=search_path())


@contextlib.contextmanager
def dovecot(kind: str, number: int) -> Iterator[Ports]:
    from tests.support.dovecot import Dovecot
    from tests.support.server import running

    binary = _dovecot_program()
    assert binary is not None
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        server = Dovecot(binary, version.stdout, Path(name), None)
        server.password = PASSWORD
        with running(server), server.connect(USER) as client:
            client.append("INBOX", "", "", b"Subject: makes the Maildir\r\n\r\n")
            client.select()
            client.store("1", "+FLAGS", r"(\Deleted)")
            client.expunge()
        folder = server.maildir(USER) / "new"
        for at, raw in enumerate(made(kind, number)[0]):
            path = folder / f"{at}.bench"
            path.write_bytes(raw.replace(b"\r\n", b"\n"))
        owner = folder.stat()
        for path in folder.iterdir():
            os.chown(path, owner.st_uid, owner.st_gid)
        with running(server):
            yield Ports(server.port, server.tls_port)


def unmark(ports: Ports) -> None:
    with imaplib.IMAP4("127.0.0.1", ports.plain) as client:
        client.login(USER, PASSWORD)
        client.select()
        client.uid("STORE", "1:*", "-FLAGS.SILENT", r"(\Seen)")


def compare(
    ports: Ports, rounds: int, names: list[str], octets: int
) -> dict[str, dict[str, float]]:
    """The medians of every peer, in interleaved rounds."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else names[::-1]:
            unmark(ports)
            command = [sys.executable, __file__, "--peer", name, "--port", str(ports.plain)]
            command += ["--tls-port", str(ports.tls)]
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, env=compiling()
            )
            figures = json.loads(done.stdout)
            if name != "raw floor" and figures["octets"] != octets:
                raise SystemExit(f"{name} decoded {figures['octets']} octets, not {octets}")
            runs[name].append(figures)
    return {
        name: {key: statistics.median(run[key] for run in made) for key in made[0]}
        for name, made in runs.items()
    }


def looking(ports: Ports) -> dict[str, float]:
    """What it costs to connect, and to poll, where nothing is new."""
    store = MemoryStateStore()

    def poller(port: int) -> Poller:
        settings = settings_of(Ports(port))
        return Poller(settings, store=store, on_message=print, start_from="new")

    with contextlib.closing(poller(ports.plain)) as known:
        known.poll_once()
    at, cpu = time.perf_counter(), time.thread_time()
    direct = poller(ports.plain)
    direct.poll_once()
    figures = {
        "connect ms": (time.perf_counter() - at) * 1e3,
        "connect CPU ms": (time.thread_time() - cpu) * 1e3,
    }
    cpu = time.thread_time()
    for _ in range(POLLS):
        direct.poll_once()
    figures["poll CPU ms"] = (time.thread_time() - cpu) / POLLS * 1e3
    direct.close()
    with (
        Proxy("127.0.0.1", ports.plain) as proxy,
        contextlib.closing(poller(proxy.port)) as counted,
    ):
        counted.poll_once()
        connected = proxy.bytes_up + proxy.bytes_down
        for _ in range(POLLS):
            counted.poll_once()
        polled = proxy.bytes_up + proxy.bytes_down - connected
    return figures | {"connect octets": connected, "poll octets": polled / POLLS}


# What needs no IMAP server.


def growth(name: str, number: int) -> dict[str, float]:
    """Messages through a store with retention: sizes, and what a commit costs at both ends.

    In memory where the system has a file system there: what the disk costs is measured by itself.
    """
    mailbox = MailboxKey("ann@example.com", "INBOX")
    with tempfile.TemporaryDirectory(
        dir=IN_MEMORY if Path(IN_MEMORY).is_dir() else None
    ) as directory:
        store = GROWN[name](directory)
        lease = store.acquire(mailbox, "bench:1")
        epoch = Epoch(1, 7, 1, matched=True, begun_at=1.0)
        store.commit(lease, [SaveMailbox(MailboxRecord(epoch, Watermark(7, 0)))])
        begun = memory = _memory()
        costs: list[float] = []
        pending: list[PutEntry] = []
        for uid in range(1, number + 1):
            claimed, handled, finished = (_entry(uid, state) for state in _STEPS)
            at = time.perf_counter()
            store.commit(lease, [*pending, PutEntry(claimed)])
            costs.append(time.perf_counter() - at)
            pending = [PutEntry(handled), PutEntry(finished)]
            if uid % LIVE == 0:
                store.forget_entries(lease, before=uid - LIVE, limit=2 * LIVE)
                memory = max(memory, _memory())
        store.commit(lease, pending)
        store.release(lease)
        store.close()
        files = [path for path in Path(directory).rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        if name == "postgres":
            size = postgresql.size_of(Path(directory))
        figures = {
            "file MB": size / 1e6,
            "memory grown MB": memory - begun,
            "first commits us": statistics.median(costs[:LIVE]) * 1e6,
            "last commits us": statistics.median(costs[-LIVE:]) * 1e6,
        }
        if name != "memory":
            took, busy = [], []
            for _ in range(REOPENED):
                at, cpu_at = time.perf_counter(), time.process_time()
                store = GROWN[name](directory)
                store.load(mailbox)
                took.append(time.perf_counter() - at)
                busy.append(time.process_time() - cpu_at)
                store.close()
            figures |= {"reopen ms": min(took) * 1e3, "of that CPU ms": min(busy) * 1e3}
        return figures


_STEPS = (State.CLAIMED, State.HANDLED, State.FINISHED)


def _entry(uid: int, state: State) -> Entry:
    return Entry(
        key=EntryKey(1, uid),
        uid_validity=7,
        state=state,
        delivery_id=f"{uid * 7919:032x}",
        digest=Digest(
            f"1:{hash((uid, 1)) & 2**64 - 1:040x}", f"1:{hash((uid, 2)) & 2**64 - 1:040x}"
        ),
        message_id=f"<{uid}@example.org>",
        size=2_000,
        received_at=float(uid),
        changed_at=float(uid),
    )


def _peak_memory() -> float:
    """The most resident memory this process had, in MB.

    Linux counts what the parent had before the exec in ``ru_maxrss``.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _memory() -> float:
    """Resident memory now, in MB; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        return (
            int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
            * resource.getpagesize()
            / 1e6
        )
    return 0.0


def replies(number: int, place: str | None = None) -> dict[str, float]:
    """``Mailer.reply`` until it is durable, and from there to the server's 250."""
    today, old = formatdate().encode(), b"Mon, 1 Jan 2024 00:00:00 +0000"
    originals = [parse_message(raw.replace(old, today)) for raw in made("small", number)[0]]
    with MailServer() as server, tempfile.TemporaryDirectory(dir=place) as directory:
        server.add_user(USER, PASSWORD)
        settings = SmtpSettings(
            host="127.0.0.1", port=server.smtp_port, sender="bob@example.com", use_tls=False
        )
        store = SqliteStateStore(f"{directory}/state.db")
        mailer = Mailer(settings, store=store, send_limits=SendLimits(None, None))
        at, cpu = time.perf_counter(), _cpu()
        for original in originals:
            mailer.reply(original, text="An answer.", key=original.message_id)
        queued, queued_cpu = time.perf_counter() - at, _cpu() - cpu
        at = time.perf_counter()
        mailer.flush()
        sent = time.perf_counter() - at
        assert len(server.outbox) == number, len(server.outbox)
        store.close()
    return {
        "queued per second": number / queued,
        "CPU us each": queued_cpu / number * 1e6,
        "sent per second": number / sent,
    }


def table(title: str, rows: dict[str, dict[str, float]]) -> None:
    """Print figures as a Markdown table."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    print(f"\n{title}\n\n| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(_shown(row.get(column)) for column in columns)} |")
    sys.stdout.flush()


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def ratios(figures: dict[str, dict[str, float]], number: int) -> dict[str, dict[str, float]]:
    """Messages a second, CPU and memory, and how they compare with :data:`BASE`."""
    rows: dict[str, dict[str, float]] = {}
    base = figures.get(BASE) or figures["imaplib, by hand"]
    for name, found in figures.items():
        rows[name] = {
            "messages/s": number / found["wall"],
            "ratio": base["wall"] / found["wall"],
            "CPU us each": found["cpu"] / number * 1e6,
            "ratio of CPU": base["cpu"] / found["cpu"],
            "memory MB": found["memory"],
        }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", choices=("auto", "embedded", "dovecot"), default="auto")
    parser.add_argument("--sizes", default="", help="mailbox sizes for the plot, as 100,1000,10000")
    parser.add_argument("--looking", default="", help="mailbox sizes for polls that find nothing")
    parser.add_argument("--growth", type=int, default=GROWTH)
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--svg", type=Path, help="where the plot goes, with --sizes")
    parser.add_argument("--serve", choices=("small", "mixed", "large"), help=argparse.SUPPRESS)
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--tls-port", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peer:
        one_peer(given.peer, Ports(given.port, given.tls_port))
    elif given.serve:
        serve(given.serve, given.messages)
    else:
        run(given)


def run(given: argparse.Namespace) -> None:
    """The whole benchmark."""
    server = embedded if given.server == "embedded" else dovecot
    if given.server == "auto" and _dovecot_program() is None:
        server = embedded
    names = [name for name in PEERS if name != BASE or importlib.util.find_spec(BASE)]
    if server is embedded:
        names.remove("nornmail, sqlite over TLS")
    if not Path(IN_MEMORY).is_dir():
        names.remove("nornmail, sqlite without a disk")
    result: dict[str, Any] = {"server": server.__name__, "python": sys.version.split()[0]}
    print(f"server: {result['server']}, Python {result['python']}, {given.rounds} rounds")
    for kind in ("small", "mixed"):
        octets = made(kind, given.messages)[1]
        with server(kind, given.messages) as ports:
            figures = compare(ports, given.rounds, names, octets)
        result[kind] = ratios(figures, given.messages)
        table(f"{given.messages} {kind} messages", result[kind])
    result["start"] = start_up()
    table("What a program's start costs beyond Python's", result["start"])
    workers = {"one worker": 1, "eight workers, seven of them busy": 8}
    result["arrival"] = {name: arrivals(number) for name, number in workers.items()}
    table("From the delivery to the handler, in IDLE", result["arrival"])
    result["fsync"] = {"4 KB": disk()}
    table("What the disk's fsync costs", result["fsync"])
    result["reply to the wire"] = {"sqlite": replies(REPLIES)}
    if Path(IN_MEMORY).is_dir():
        result["reply to the wire"]["without a disk"] = replies(REPLIES, IN_MEMORY)
    table(
        "A reply until it is durable, and from there to the server's 250",
        result["reply to the wire"],
    )
    grown = list(GROWN) if postgresql.is_here() else list(STORES)
    result["growth"] = {name: growth(name, given.growth) for name in grown if given.growth}
    if given.growth:
        table(f"{given.growth} messages with retention, {LIVE} live", result["growth"])
    for size in map(int, filter(None, given.sizes.split(","))):
        with server("small", size) as ports:
            figures = compare(ports, 1, names[:PLOTTED], 0)
        result.setdefault("sizes", {})[str(size)] = ratios(figures, size)
        table(f"{size} small messages", result["sizes"][str(size)])
    for size in filter(None, given.looking.split(",")):
        with server("small", int(size)) as ports:
            result.setdefault("looking", {})[size] = looking(ports)
    if "looking" in result:
        table("Nothing new, by the mailbox's size", result["looking"])
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")
    if given.svg and "sizes" in result:
        given.svg.write_text(plot(result["sizes"]))


if __name__ == "__main__":
    main()
