"""Which messages the selected mailbox has: the commands that search, and their answers as sets."""

from __future__ import annotations

from nornmail.errors import CommandRefused, ProtocolError
from nornmail.imap.arguments import quote
from nornmail.imap.listing import hits, hits_if_told, within
from nornmail.imap.session import Session
from nornmail.imap.tokens import HIGHEST_NUMBER
from nornmail.uidset import UidSet

LISTING_SLACK = 10_000
"""UIDs that a listing may have beyond twice EXISTS: a server that names four thousand million of
them in one range is wrong, and whoever walks that set would never end."""


class Searches(Session):
    """A session that can search; a mailbox is selected."""

    def list_uids(self) -> UidSet:
        """The UIDs of all messages in the selected mailbox."""
        if self.exists == 0:
            return UidSet()
        if "ESEARCH" in self.capabilities:
            found = hits_if_told(self._run("UID", b"SEARCH", b"RETURN (ALL) ALL"))
            if found is not None:
                return self._walkable(found)
        return self._walkable(self._list_by_windows())

    def uids_from(self, uid: int) -> UidSet:
        """The UIDs of ``uid`` and above in the selected mailbox."""
        if uid > HIGHEST_NUMBER:
            return UidSet()
        try:
            found = hits(self._run("UID", b"SEARCH", b"UID %d:*" % uid))
        except CommandRefused as refused:
            if refused.status != "BAD":
                raise
            # QQ takes no set that descends, which n:* is where nothing is new.
            found = self.list_uids()
        # RFC 3501, 6.4.8: n:* is *:n where n is above the highest UID, so it always has a hit.
        return self._walkable(within(found, UidSet([(uid, HIGHEST_NUMBER)])))

    def find_message_id(self, message_id: str) -> UidSet:
        """The messages of the selected mailbox with this in their Message-ID header.

        The server matches, not we: some find parts of the header, and some that do not know the
        search key return every message.

        Args:
            message_id: with its angle brackets.

        Raises:
            ConfigurationError: it holds NUL, CR or LF.
            CommandRefused: as when the server cannot search for what is not ASCII.
        """
        if message_id.isascii() or not {"\0", "\r", "\n"}.isdisjoint(message_id):
            key = b"HEADER Message-ID " + quote(message_id, name="Message-ID")
            return self._walkable(hits(self._run("UID", b"SEARCH", key)))
        octets = message_id.encode("utf-8", "surrogateescape")
        key = b"CHARSET UTF-8 HEADER Message-ID"
        return self._walkable(hits(self._run("UID", b"SEARCH", key, literal=octets)))

    def _list_by_windows(self) -> UidSet:
        """Every UID, by sequence numbers.

        A message that is removed while we list moves those above it down, so the next window
        begins lower by as many as were removed. If fewer were found than there are, all are asked
        for in one command.
        """
        found = UidSet()
        low = 1
        while low <= self.exists:
            high = min(low + self._limits.list_window - 1, self.exists)
            before = self.expunges
            told = hits(self._run("UID", b"SEARCH", b"%d:%d" % (low, high)))
            if not told:  # EXISTS is wrong: who believes it asks for ever.
                break
            found.update(told)
            low = max(high + 1 - (self.expunges - before), 1)
        if len(found) < self.exists:  # pymap takes the sequence numbers of a UID SEARCH for UIDs.
            found.update(hits(self._run("UID", b"SEARCH", b"ALL")))
        return found

    def _walkable(self, found: UidSet) -> UidSet:
        """The hits of a search, unless they are more than anybody could walk."""
        if len(found) > 2 * self.exists + LISTING_SLACK:
            with self._closing():
                raise ProtocolError(f"{len(found)} UIDs listed for {self.exists} messages")
        return found
