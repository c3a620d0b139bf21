# SPDX-License-Identifier: Apache-2.0
"""The books as `[store]` says: a file of this node, or a database that one daemon at a time has."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from trustedpods.protocol.errors import BadInput, NetworkFailure, StoreFailure
from trustedpods.provider.cluster.client import Cluster
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.core.disk import DiskSizes
from trustedpods.provider.daemon.leader import LEASE_S, LOOK_EVERY_S, holder_of, leading
from trustedpods.provider.daemon.own_facade import OwnFacade, Silence
from trustedpods.provider.daemon.process import notify_opening, notify_standing_by
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.store import Store, Vault, open_books, open_store
from trustedpods.provider.store.engines.belonging import Belonging
from trustedpods.provider.store.engines.postgres import USUAL, PostgresDatabase, parse
from trustedpods.provider.store.engines.sqlite_file import held
from trustedpods.provider.store.failures import PASSING

_log = logging.getLogger(__name__)

OPENED_WITHIN_S = USUAL.migration_ms / 1000 + 180
"""A start's longest migration (PostgreSQL's limit), and the time that its unit gives all the rest."""

SIMULATED = "simulated:"
"""How a localnet's `tee` begins: there is no machine that its evidence keeps anything in."""


@asynccontextmanager
async def opened_books(
    config: ProviderConfig, keys: BootKeys, cluster: Cluster, facade: OwnFacade
) -> AsyncIterator[Store]:
    """Open them; where they are shared, wait first until this daemon is the one that acts.

    While another one is, this node's *facade* rests.
    """
    going_on = partial(notify_opening, OPENED_WITHIN_S)
    going_on()
    path, vault = Path(config.store.path), Vault(keys.hpke.to_bytes())
    sizes = DiskSizes.of_mib(config.store.reserve_mib, config.store.min_free_mib)
    if config.store.database is None:
        # a migration of large books takes as long as it does
        async with open_store(path, vault, sizes, going_on) as store:
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
        async with trio.open_nursery() as nursery:
            silence = Silence(facade, nursery, LEASE_S)
            mine = await _belonging(config, cluster, silence)
            nursery.cancel_scope.cancel()
        while True:
            async with leading(cluster, me, facade), AsyncExitStack() as stack:
                notify_opening(OPENED_WITHIN_S)
                books = open_books(PostgresDatabase(url, me, mine), path.parent, vault, sizes)
                try:
                    store = await stack.enter_async_context(books)
                except StoreFailure as error:
                    failure = error
                else:
                    yield store
                    return
            if failure.rule not in PASSING:
                raise failure
            _log.warning("%s; another daemon may reach them meanwhile", failure)
            notify_standing_by()
            await trio.sleep(LEASE_S / 3)


async def _belonging(config: ProviderConfig, cluster: Cluster, silence: Silence) -> Belonging:
    """Whose books this daemon may open; waits for the cluster as a standby does for its lease.

    Another daemon may begin meanwhile, and the facade rests then.
    """
    told = ""
    while True:
        try:
            uid = await cluster.identity()
        except NetworkFailure as error:
            if str(error) != told:
                _log.info("standing by: %s", error)
                notify_standing_by()
                told = str(error)
            await silence.look()
            await trio.sleep(LOOK_EVERY_S)
        else:
            market, identity = config.market, config.identity
            return Belonging(
                market.chain_id, market.payments.lower(), identity.owner.lower(), identity.daemon, uid
            )
