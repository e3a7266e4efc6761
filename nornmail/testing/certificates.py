"""The certificates of the test servers, good and bad, and the TLS contexts made of them."""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Literal

_FOLDER = Path(__file__).parent / "tls"

CA_FILE = str(_FOLDER / "test-only-ca.pem")
"""The authority behind the test servers' certificate. Its use outside a test is a mistake."""

CERTIFICATE_FILES = (
    str(_FOLDER / "test-only-server.pem"),
    str(_FOLDER / "test-only-server-key.pem"),
)
"""Certificate and key for localhost, 127.0.0.1 and ::1. The key is public."""

CertificateKind = Literal["good", "expired", "other_name", "self_signed"]
"""``expired`` ended in 2021; ``other_name`` is for other.example; ``self_signed`` has the right
names, and no authority behind it."""

_FILES: dict[CertificateKind, str] = {
    "good": CERTIFICATE_FILES[0],
    "expired": str(_FOLDER / "test-only-expired.pem"),
    "other_name": str(_FOLDER / "test-only-other-name.pem"),
    "self_signed": str(_FOLDER / "test-only-self-signed.pem"),
}


@lru_cache
def server_context(kind: CertificateKind = "good") -> ssl.SSLContext:
    """A server's TLS context with this certificate: made when it is first asked for, and shared."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_FILES[kind], CERTIFICATE_FILES[1])
    return context
