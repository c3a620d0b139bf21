# SPDX-License-Identifier: Apache-2.0
"""The books as `[store]` says: a file of this node, or a database that one daemon at a time has."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import trio

from trustedpods.protocol.errors import BadInput, StoreFailure
from trustedpods.provider.cluster.client import Cluster
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.core.disk import DiskSizes
from trustedpods.provider.daemon.leader import LEASE_S, give_lease_back, holder_of, stand_by
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.store import Store, Vault, open_books, open_store
from trustedpods.provider.store.engines.postgres import PostgresDatabase, parse
from trustedpods.provider.store.engines.sqlite_file import held
from trustedpods.provider.store.failures import PASSING

_log = logging.getLogger(__name__)

SIMULATED = "simulated:"
"""How a localnet's `tee` begins: there is no machine that its evidence keeps anything in."""


@asynccontextmanager
async def opened_books(config: ProviderConfig, keys: BootKeys, cluster: Cluster) -> AsyncIterator[Store]:
    """Open them; where they are shared, wait first until this daemon is the one that acts."""
    path, vault = Path(config.store.path), Vault(keys.hpke.to_bytes())
    sizes = DiskSizes.of_mib(config.store.reserve_mib, config.store.min_free_mib)
    if config.store.database is None:
        async with open_store(path, vault, sizes) as store:
            yield store
        return
    if config.identity.trust != "open" and not config.identity.tee.startswith(SIMULATED):
        raise BadInput(
            "books on a server leave the machine that publishers attest",
            where="store.database",
            hint='write trust = "open" in [identity], or keep the books in a file',
        )
    me, url = holder_of(path, keys, shared=True), parse(config.store.database)
    with held(path):
        async with AsyncExitStack() as stack:
            while True:
                await stand_by(cluster, me)
                try:
                    books = open_books(PostgresDatabase(url, me), path.parent, vault, sizes)
                    store = await stack.enter_async_context(books)
                except StoreFailure as error:
                    await give_lease_back(cluster, me)
                    if error.rule not in PASSING:
                        raise
                    _log.warning("%s; another daemon may reach them meanwhile", error)
                    await trio.sleep(LEASE_S / 3)
                else:
                    break
            try:
                yield store
            finally:
                await give_lease_back(cluster, me)
