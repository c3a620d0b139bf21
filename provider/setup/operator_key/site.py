# SPDX-License-Identifier: Apache-2.0
"""What a change of the operator's key asks of the world: the chain, the running daemon, the owner's key."""

import os
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from trustedpods.contracts.client import Chain
from trustedpods.protocol.errors import NoContext
from trustedpods.provider.admin.registration import owner_key
from trustedpods.provider.admin.reports.operator_key import OperatorKeyRequest, OperatorKeyView
from trustedpods.provider.admin.socket import ask_daemon
from trustedpods.provider.config import ProviderConfig


class KeySite(Protocol):
    """Errors are ours."""

    def chain(self) -> AbstractAsyncContextManager[Chain]:
        """The market's chain."""

    async def daemon(self) -> OperatorKeyView | None:
        """How the running daemon's key stands; None where none runs."""

    def owner_key(self) -> bytes | None:
        """The owner's key where it is here, as on a localnet."""

    def daemons_user(self) -> tuple[int, int]:
        """The ids of user and group whose the key's files are."""


class RealKeySite:
    """The real ones, by a configuration."""

    def __init__(self, config: ProviderConfig) -> None:
        self._config = config

    def chain(self) -> AbstractAsyncContextManager[Chain]:
        """A door of this command's own."""
        market = self._config.market
        return Chain(market.rpcs, market.market, agree=market.rpc_agree)

    async def daemon(self) -> OperatorKeyView | None:
        """By the admin socket."""
        try:
            return await ask_daemon(self._config.admin_socket, OperatorKeyRequest(), OperatorKeyView)
        except NoContext:
            return None

    def owner_key(self) -> bytes | None:
        """Of `identity.owner_key_file`; BadInput where that holds another key."""
        return owner_key(self._config) if self._config.identity.owner_key_file is not None else None

    def daemons_user(self) -> tuple[int, int]:
        """Whose the present key is; where that is lost, whose the keys of this boot are, else this user."""
        identity = self._config.identity
        for place in (identity.operator_key_file, identity.keys_dir):
            try:
                state = Path(place).stat()
            except OSError:
                continue
            return state.st_uid, state.st_gid
        return os.geteuid(), os.getegid()
