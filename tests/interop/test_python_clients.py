"""Clients from PyPI do the same things to both servers, and see the same."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.interop.peers import SECONDS, Peer
from tests.support.octets import lines
from tests.support.require import module

pytestmark = pytest.mark.interop

TwoPeers = tuple[Peer, Peer]
LETTER = b"From: a@example.com\r\nSubject: appended\r\nMessage-ID: <new@x>\r\n\r\nnew\r\n"


def alike(peers: TwoPeers, scenario: Callable[[Peer], object]) -> None:
    """The scenario comes to the same on both servers."""
    embedded, real = (scenario(peer) for peer in peers)
    assert embedded == real


def without_recent(flags: Any) -> list[Any]:
    return sorted(flag for flag in flags if flag not in (b"\\Recent", "\\Recent"))


# imap-tools


def imap_tools_mailbox(peer: Peer) -> Any:
    imap_tools = module("imap_tools", "imap-tools")
    return imap_tools.MailBoxUnencrypted(peer.host, peer.port, timeout=SECONDS).login(
        peer.user, peer.password
    )


def test_imap_tools_reads_the_letters_alike(readers: TwoPeers) -> None:
    def read(peer: Peer) -> object:
        with imap_tools_mailbox(peer) as box:
            return [
                (
                    *(one.uid, one.subject, one.from_, one.to, one.cc, one.bcc, one.reply_to),
                    *(one.date_str, one.date, one.text, one.html, one.headers),
                    *(one.size_rfc822, without_recent(one.flags)),
                    [
                        (file.filename, file.content_type, file.content_id, file.payload)
                        for file in one.attachments
                    ],
                )
                for one in box.fetch(mark_seen=False, bulk=True)
            ]

    alike(readers, read)


def test_imap_tools_changes_a_mailbox_alike(writers: TwoPeers) -> None:
    imap_tools = module("imap_tools", "imap-tools")

    def work(peer: Peer) -> object:
        seen: list[object] = []
        with imap_tools_mailbox(peer) as box:
            box.folder.create("Work")
            box.folder.create("Work.deep")
            box.folder.subscribe("Work", True)
            seen.append(sorted((one.name, one.delim, one.flags) for one in box.folder.list()))
            seen.append([one.name for one in box.folder.list(subscribed_only=True)])
            seen.append(box.folder.exists("Work"))
            box.append(LETTER, "Work", flag_set=["\\Flagged", "mine"])
            box.flag(["1", "2"], ["\\Seen", "$Mine"], True)
            box.flag("1", ["$Mine"], False)
            seen.append(box.uids(imap_tools.AND(seen=True)))
            seen.append(box.uids(imap_tools.OR(keyword="$Mine", flagged=True)))
            box.copy("3", "Work")
            box.move(["4", "5"], "Work")
            box.delete("6")
            seen.append(box.uids())
            box.folder.rename("Work", "Play")
            box.folder.set("Play")
            found = list(box.fetch(mark_seen=False, headers_only=True))
            seen.append([(one.uid, one.subject, without_recent(one.flags)) for one in found])
            status = box.folder.status("Play", ["MESSAGES", "UIDNEXT", "UNSEEN"])
            seen.append(status)
            box.folder.set("INBOX")
            box.folder.delete("Play.deep")
            seen.append(sorted(one.name for one in box.folder.list()))
        return seen

    alike(writers, work)


def test_imap_tools_hears_of_new_mail_in_idle(writers: TwoPeers) -> None:
    def wait(peer: Peer) -> object:
        with imap_tools_mailbox(peer) as box:
            box.idle.start()
            peer.append([LETTER])
            told = [line for line in box.idle.poll(timeout=SECONDS) if b"EXISTS" in line]
            box.idle.stop()
            return told, box.uids()

    alike(writers, wait)


# IMAPClient


def imap_client(peer: Peer) -> Any:
    imapclient = module("imapclient", "imapclient")
    client = imapclient.IMAPClient(peer.host, port=peer.port, ssl=False, timeout=SECONDS)
    client.login(peer.user, peer.password)
    return client


def test_imapclient_reads_the_letters_alike(readers: TwoPeers) -> None:
    def read(peer: Peer) -> object:
        with imap_client(peer) as client:
            facts = client.select_folder("INBOX", readonly=True)
            items = ["ENVELOPE", "RFC822.SIZE", "INTERNALDATE", "FLAGS", "BODY.PEEK[]<0.200>"]
            got = client.fetch(client.search(), items)
            for one in got.values():
                one[b"FLAGS"] = without_recent(one[b"FLAGS"])
            return facts[b"EXISTS"], facts[b"UIDNEXT"], client.search(), got

    alike(readers, read)


def test_imapclient_changes_a_mailbox_alike(writers: TwoPeers) -> None:
    def work(peer: Peer) -> object:
        seen: list[object] = []
        with imap_client(peer) as client:
            seen.append(client.namespace())
            client.create_folder("A b")
            seen.append(sorted(client.list_folders()))
            client.subscribe_folder("A b")
            seen.append(client.list_sub_folders())
            client.unsubscribe_folder("A b")
            seen.append(client.list_sub_folders())
            client.select_folder("INBOX")
            for change in (client.add_flags, client.set_flags, client.remove_flags):
                told = change([1, 3], [b"\\Seen", b"$" + change.__name__.encode()])
                seen.append({uid: without_recent(flags) for uid, flags in told.items()})
            client.copy([1, 2], "A b")
            client.move([5], "A b")
            client.append("A b", LETTER, flags=[b"\\Draft"])
            client.delete_messages([2, 6])
            client.uid_expunge([6])
            seen.append(client.search("ALL"))
            client.expunge()
            seen.append(client.search(["NOT", "DELETED"]))
            seen.append(client.folder_status("A b", ["MESSAGES", "UIDNEXT", "UNSEEN"]))
            client.unselect_folder()
            client.select_folder("A b", readonly=True)
            seen.append(client.search(["SUBJECT", "appended"]))
            seen.append(
                {uid: without_recent(one) for uid, one in client.get_flags(client.search()).items()}
            )
            client.close_folder()
            client.delete_folder("A b")
            seen.append(client.folder_exists("A b"))
        return seen

    alike(writers, work)


def test_imapclient_idles_alike(writers: TwoPeers) -> None:
    def wait(peer: Peer) -> object:
        with imap_client(peer) as client:
            client.select_folder("INBOX")
            client.idle()
            peer.append([LETTER])
            told = client.idle_check(timeout=SECONDS)
            text, rest = client.idle_done()
            exists = [line for line in [*told, *rest] if line[1:] == (b"EXISTS",)]
            return exists, bool(text), client.search("ALL")

    alike(writers, wait)


# aioimaplib


def test_aioimaplib_works_alike(writers: TwoPeers) -> None:
    aioimaplib = module("aioimaplib", "aioimaplib")

    async def work(peer: Peer) -> object:
        seen: list[object] = []
        client = aioimaplib.IMAP4(peer.host, peer.port, timeout=SECONDS)
        await client.wait_hello_from_server()
        seen.append((await client.login(peer.user, peer.password)).result)
        seen.append((await client.select("INBOX")).result)
        found = await client.uid_search("ALL")
        seen.append((found.result, found.lines[0]))
        fetched = await client.uid("fetch", "1:*", "(UID RFC822.SIZE BODY.PEEK[])")
        seen.append([bytes(line) for line in fetched.lines if isinstance(line, bytearray)])
        stored = await client.uid("store", "1:2", "+FLAGS", "(\\Seen $x)")
        seen.append(stored.result)
        seen.append((await client.uid_search("SEEN KEYWORD $x")).lines[0])
        seen.append((await client.create("Work")).result)
        seen.append((await client.uid("move", "2", "Work")).result)
        seen.append((await client.append(LETTER, mailbox="INBOX")).result)
        seen.append((await client.noop()).result)
        seen.append((await client.uid_search("ALL")).lines[0])
        listed = await client.list('""', "*")
        seen.append(sorted(line for line in listed.lines if line.startswith(b"(")))
        idling = await client.idle_start(timeout=SECONDS)
        await asyncio.get_running_loop().run_in_executor(None, peer.append, [LETTER])
        told: list[bytes] = []
        while not any(b"EXISTS" in line for line in told):
            told += await client.wait_server_push()
        client.idle_done()
        await asyncio.wait_for(idling, SECONDS)
        seen.append([line for line in told if b"EXISTS" in line])
        seen.append((await client.expunge()).result)
        seen.append((await client.logout()).result)
        return seen

    alike(writers, lambda peer: asyncio.run(work(peer)))


# imaplib


def test_imaplib_works_alike(writers: TwoPeers) -> None:
    def work(peer: Peer) -> object:
        seen: list[object] = []
        with peer.connect() as client:
            seen.append(client.enable("CONDSTORE")[0])
            seen.append(client.create("Work")[0])
            seen.append(sorted(lines(client.list()[1])))
            seen.append(client.subscribe("Work")[0])
            seen.append(client.lsub())
            seen.append(client.select("INBOX"))
            seen.append(client.store("1:2", "+FLAGS", "(\\Deleted)")[0])
            seen.append((client.expunge()[0], client.search(None, "ALL")))
            seen.append(client.copy("1", "Work")[0])
            seen.append(client.fetch("2:3", "(UID RFC822.SIZE BODY.PEEK[TEXT])"))
            seen.append(client.status("Work", "(MESSAGES UIDNEXT UNSEEN)"))
            seen.append(client.check()[0])
            seen.append(client.rename("Work", "Play")[0])
            seen.append(client.select("INBOX", readonly=True))
            seen.append(client.uid("FETCH", "1:*", "(UID)"))
            seen.append(client.close()[0])
            seen.append(client.delete("Play")[0])
            refused = [client.select("none")[0], client.status("none", "(MESSAGES)")[0]]
            seen.append(refused)
            seen.append(client.append("none", "", "", LETTER)[0])
        return _without_times(seen)

    alike(writers, work)


def _without_times(seen: list[object]) -> list[str]:
    """Dovecot adds to its texts how long it took."""
    return [re.sub(r" \([0-9. +]+ secs\)\.?", "", repr(one)) for one in seen]
