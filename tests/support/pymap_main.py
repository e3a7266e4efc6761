"""Starts a pymap that knows every user name. Run by ``pymap.py``, in a process of its own.

The arguments are the port inside TLS, the password, and then those of pymap itself.
"""

from __future__ import annotations

import asyncio
import copy
import sys
from argparse import ArgumentParser, Namespace
from contextlib import AsyncExitStack
from typing import Any

from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend import backends
from pymap.backend.dict import Config, DictBackend, Identity, Login
from pymap.backend.dict.mailbox import MailboxData
from pymap.imap import IMAPServer
from pymap.main import main
from pymap.user import Passwords, UserMetadata
from pysasl.creds.server import ServerCredentials

TLS_PORT, PASSWORD = int(sys.argv[1]), sys.argv[2]


def begin_at_one(self: MailboxData, *args: Any, **more: Any) -> None:
    """Number messages from 1; pymap begins at 101, which no test expects."""
    made(self, *args, **more)
    self._max_uid = 0


made = MailboxData.__init__
# Mypy takes pymap for Any where it is not installed. Each ignore here is for one of the two cases,
# and `unused-ignore` is for the other. This one: pymap has no option for its first number.
MailboxData.__init__ = begin_at_one  # type: ignore[method-assign, unused-ignore]


class AnyLogin(Login):  # type: ignore[misc, unused-ignore]  # a subclass of Any
    """Makes an account at the first login."""

    def __init__(self, config: Config, hashed: str) -> None:
        super().__init__(config)
        self._hashed = hashed

    async def authenticate(self, credentials: ServerCredentials) -> Identity:
        name = credentials.authcid
        if name not in self.users_dict:
            user = UserMetadata(self.config, name, password=self._hashed)
            await Identity(name, self, None, set()).set(user)
        return await super().authenticate(credentials)


class AnyUser(DictBackend):  # type: ignore[misc, unused-ignore]  # a subclass of Any
    """Mail in memory, and a second port that speaks TLS from the first octet."""

    @classmethod
    def add_subparser(cls, name: str, subparsers: Any) -> ArgumentParser:
        parser: ArgumentParser = DictBackend.add_subparser(name, subparsers)
        return parser

    @classmethod
    async def init(cls, args: Namespace, **overrides: Any) -> tuple[DictBackend, Config]:
        config = Config.from_args(args, **overrides)
        hashed = await Passwords(config).hash_password(PASSWORD)
        return cls(AnyLogin(config, hashed), config), config

    async def start(self, stack: AsyncExitStack) -> None:
        await super().start(stack)
        config = copy.copy(self.config)
        config._tls_enabled = False  # no STARTTLS inside TLS
        reader = ProxyProtocolReader(config.proxy_protocol)
        serve = reader.get_callback(IMAPServer(self.login, config))
        server = await asyncio.start_server(
            serve, host=config.host, port=TLS_PORT, ssl=config.ssl_context
        )
        await stack.enter_async_context(server)


backends.add("any", AnyUser)
sys.argv[1:] = sys.argv[3:]
main()
