"""Addresses of outgoing mail: checked, in the form that goes on the wire.

``message/addresses.py`` reads whatever strangers wrote and never refuses; this refuses
whatever is not exactly one address (RFC 5321, 4.1.2; RFC 5322, 3.4).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, TypeAlias

from nornmail.errors import ComposeError, ConfigurationError
from nornmail.message.addresses import Address, canonical
from nornmail.settings.smtp import SmtpSettings

AddressLike: TypeAlias = str | Address | tuple[str, str]
"""One address: ``"ann@example.com"``, ``"Ann <ann@example.com>"``, an Address, (name, address)."""
AddressesLike: TypeAlias = AddressLike | Iterable[AddressLike] | None
"""None, one or several."""

MAX_ADDRESS_OCTETS: Final = 254
"""Octets of an address: a path has 256 with its angle brackets (RFC 5321, 4.5.3.1.3)."""
MAX_LOCAL_OCTETS: Final = 64
"""Octets of a local part (RFC 5321, 4.5.3.1.1)."""
MAX_LABEL_OCTETS: Final = 63
"""Octets of a label of a domain (RFC 1035, 2.3.4)."""
MAX_NAME_CHARS: Final = 256
"""Characters of a display name. Directories hold 64 to 256."""

NOT_IN_A_LINE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Line ends to some reader, and surrogates: allowed in no header field."""
_NAMED = re.compile(r"(?P<name>[^<>]*|\"(?:[^\"\\]|\\.)*\"\s*)<(?P<address>[^<>]*)>")
_QUOTED_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_AMBIGUOUS_IN_NAME = re.compile(r'[,;:@"\\()\[\]]')
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_ATOMS_AND_DOTS = re.compile(rf"(?:{_ATOM}|\.)+")
_QUOTED_LOCAL = re.compile(r'"(?:[!#-;=?-\[\]-~\u0080-\U0010ffff]|\\[!-;=?-~])+"')
"""Without the blanks and angle brackets that RFC 5321 allows: no command is to be read wrong."""
_LABEL = rf"[A-Za-z0-9_](?:[A-Za-z0-9_-]{{0,{MAX_LABEL_OCTETS - 2}}}[A-Za-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_DEVIATIONS = re.compile("[\u00df\u03c2\u200c\u200d]")
"""Characters that IDNA 2003 and IDNA 2008 map to different names."""


def to_address(value: AddressLike, field: str) -> Address:
    """One address, checked, its domain in ASCII.

    Args:
        value: see :data:`AddressLike`. A text with a name must have the address in angle brackets,
            and the name in quotes where it holds a comma, an ``@`` or the like.
        field: what it is for, for the error.

    Raises:
        ComposeError: it is not one address, or cannot be written.
    """
    if isinstance(value, Address):
        name, address = value.name, value.address
    elif isinstance(value, tuple):
        name, address = _pair(value, field)
    elif isinstance(value, str):
        name, address = _split(value, field)
    else:
        raise ComposeError(field, f"{type(value).__name__} is not an address")
    return Address(_checked_name(name, field), checked_address(address, field))


def sender_of(settings: SmtpSettings) -> Address:
    """The default From address: SMTP_FROM, else the user name."""
    address = settings.sender or settings.username or ""
    if settings.sender is None and "@" not in address:
        raise ConfigurationError(
            "SMTP_FROM", None, "set it to your address, since SMTP_USERNAME is not an address"
        )
    try:
        return to_address(address, "sender")
    except ComposeError as error:
        name = "SMTP_USERNAME" if settings.sender is None else "SMTP_FROM"
        raise ConfigurationError(name, address, f"must be an address: {error.why}") from error


def own_addresses_of(
    settings: SmtpSettings, sender: Address, further: Iterable[str]
) -> frozenset[str]:
    """Our own addresses: mail from them is never answered."""
    own = {sender.address, *((further,) if isinstance(further, str) else further)}
    if settings.username and "@" in settings.username:
        own.add(settings.username)
    return frozenset(own)


def to_addresses(value: AddressesLike, field: str) -> tuple[Address, ...]:
    """All addresses of a field, each mailbox once, in their order.

    A tuple of two texts is (name, address). Where the first has an ``@`` it could as well be meant
    as two addresses, and a stranger's name could make it so: that is refused, and a list of pairs
    is not.

    Raises:
        ComposeError: one of them is none.
    """
    addresses: dict[str, Address] = {}
    for item in _several(value, field):
        address = to_address(item, field)
        addresses.setdefault(canonical(address.address), address)
    return tuple(addresses.values())


def _several(value: AddressesLike, field: str) -> Iterable[AddressLike]:
    if value is None:
        return ()
    if isinstance(value, str | Address):
        return (value,)
    if not isinstance(value, Iterable):
        raise ComposeError(field, f"{type(value).__name__} is not an address")
    if not isinstance(value, tuple) or len(value) != 2:
        return value
    first, second = value
    if not isinstance(first, str) or not isinstance(second, str):
        return value
    if "@" in first:
        why = "is it two addresses, or a name and an address? Give a list, or an Address"
        raise ComposeError(field, f"{_escaped_text(first)}, {_escaped_text(second)}: {why}")
    return ((first, second),)


def _pair(value: tuple[str, ...], field: str) -> tuple[str, str]:
    if len(value) != 2 or not all(isinstance(part, str) for part in value):
        raise ComposeError(field, "a tuple must be (name, address)")
    return value[0], value[1]


def _split(text: str, field: str) -> tuple[str, str]:
    """``Ann <ann@example.com>`` or ``ann@example.com``."""
    text = text.strip()
    match = _NAMED.fullmatch(text)
    if match is None:
        return "", text
    name = match["name"].strip()
    quoted = _QUOTED_NAME.fullmatch(name)
    if quoted is not None:
        return _ESCAPED.sub(r"\1", quoted[1]), match["address"]
    if _AMBIGUOUS_IN_NAME.search(name):
        why = f"{_escaped_text(text)} is not one address: quote the name, or give (name, address)"
        raise ComposeError(field, why)
    return name, match["address"]


def _checked_name(name: str, field: str) -> str:
    name = name.strip()
    if NOT_IN_A_LINE.search(name):
        raise ComposeError(field, f"control characters in the name {_escaped_text(name)}")
    if len(name) > MAX_NAME_CHARS:
        raise ComposeError(field, f"a name of more than {MAX_NAME_CHARS} characters")
    return name


def checked_address(address: str, field: str) -> str:
    """``local@domain`` as on the wire: the domain in ASCII, in lower case where it was not."""
    if not address:
        raise ComposeError(field, "an empty address")
    if NOT_IN_A_LINE.search(address):
        raise ComposeError(field, f"control characters in the address {_escaped_text(address)}")
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise ComposeError(field, f"{_escaped_text(address)} is not an address")
    checked = f"{_checked_local(local, address, field)}@{_checked_domain(domain, address, field)}"
    if len(checked.encode()) > MAX_ADDRESS_OCTETS:
        raise ComposeError(field, f"an address of more than {MAX_ADDRESS_OCTETS} octets")
    return checked


def _checked_local(local: str, address: str, field: str) -> str:
    if "=?" in local:
        raise ComposeError(field, f"an encoded word in the address {_escaped_text(address)}")
    if len(local.encode()) > MAX_LOCAL_OCTETS:
        raise ComposeError(field, f"more than {MAX_LOCAL_OCTETS} octets before the @")
    if not local.isprintable():
        raise ComposeError(field, f"{_escaped_text(address)} has invisible characters")
    if _DOT_ATOM.fullmatch(local) or _QUOTED_LOCAL.fullmatch(local):
        return local
    if _ATOMS_AND_DOTS.fullmatch(local):  # a..b@ and a.@, which some providers once gave out
        return f'"{local}"'
    several = "; several go in a list" if "," in local or ";" in local else ""
    raise ComposeError(field, f"{_escaped_text(address)} is not one address{several}")


def _checked_domain(domain: str, address: str, field: str) -> str:
    if domain.startswith("[") and domain.endswith("]"):
        return _checked_literal(domain, address, field)
    in_ascii = _ascii_domain(domain, field)
    if not _DOMAIN.fullmatch(in_ascii):
        raise ComposeError(field, f"{_escaped_text(address)} has no domain behind its @")
    return in_ascii


def _checked_literal(domain: str, address: str, field: str) -> str:
    """An address literal (RFC 5321, 4.1.3)."""
    text = domain[1:-1]
    try:
        if text[:5].upper() == "IPV6:":
            ipaddress.IPv6Address(text[5:])
        else:
            ipaddress.IPv4Address(text)
    except ValueError:
        raise ComposeError(field, f"{_escaped_text(address)} has no domain behind its @") from None
    if "%" in text:
        raise ComposeError(field, f"{_escaped_text(address)} has no domain behind its @")
    return domain


def _ascii_domain(domain: str, field: str) -> str:
    """A-labels (RFC 5890), by the standard library's codec.

    That is IDNA 2003. Names that newer rules encode otherwise (with sharp s, final sigma or
    joiners) would lead to another domain, and are refused: whoever means them writes the ``xn--``
    form.
    """
    if domain.isascii():
        return domain
    if _DEVIATIONS.search(domain):
        raise ComposeError(
            field, f"the domain {_escaped_text(domain)} is ambiguous: give its xn-- form"
        )
    try:
        return domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise ComposeError(
            field, f"{_escaped_text(domain)} is not a domain: give its xn-- form"
        ) from None


def needs_smtputf8(address: str) -> bool:
    """Whether this goes only to servers that have SMTPUTF8 (RFC 6531)."""
    return not address.isascii()


def _escaped_text(text: str) -> str:
    """A foreign text for an error: escaped, on one line, cut to a length."""
    return ascii(text[:80])
