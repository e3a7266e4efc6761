"""A private pymap, an IMAP server from PyPI, with mail in memory."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.foreign import TLS
from tests.support.require import missing
from tests.support.server import PrivateServer, place_of, running

MAIN = Path(__file__).with_name("pymap_main.py")
ASIDE = "aside"


class Pymap(PrivateServer):
    """A pymap of one's own."""

    title = "pymap"

    def configure(self) -> Sequence[str]:
        listen = ["--host", self.host, "--port", str(self.port)]
        certificate = ["--cert", str(TLS / "test-only-server.pem")]
        key = ["--key", str(TLS / "test-only-server-key.pem")]
        own = [sys.executable, "-P", str(MAIN), str(self.tls_port), self.password]
        return [*own, *listen, *certificate, *key, "any"]

    def reset_uid_validity(self, user: str) -> int:
        before = self.uid_validity(user)
        with self.connect(user) as client:
            # RFC 3501, 6.3.5: what was in INBOX goes along, and an empty INBOX stays.
            client.rename("INBOX", ASIDE)
            _, count = client.select(ASIDE)
            if int(count[0] or 0):
                status, answer = client.copy("1:*", "INBOX")
                assert status == "OK", answer
            client.select("INBOX", readonly=True)  # it has no UNSELECT
            client.delete(ASIDE)
        after = self.uid_validity(user)
        assert after != before, f"UIDVALIDITY is still {before}"
        return after


@contextlib.contextmanager
def start_pymap() -> Iterator[Pymap]:
    """A pymap that runs until the block ends."""
    if importlib.util.find_spec("pymap") is None:
        missing("pymap", "it is not installed: pip install pymap")
    with place_of("pymap") as directory:
        server = Pymap(directory)
        with running(server):
            yield server
