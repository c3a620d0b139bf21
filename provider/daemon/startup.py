# SPDX-License-Identifier: Apache-2.0
"""Opens all doors of the daemon as its configuration says, waits for those that start late, closes them."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from trustedpods.contracts.client import Chain
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider import tee
from trustedpods.provider.cluster.client import open_cluster
from trustedpods.provider.cluster.freezer.door import Freezer
from trustedpods.provider.cluster.image_registry import open_image_registry
from trustedpods.provider.cluster.kernel_ways.door import KernelWaysDoor
from trustedpods.provider.cluster.pod_counters import traffic_source
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.daemon.leader import holder_of
from trustedpods.provider.daemon.opened_books import opened_books
from trustedpods.provider.daemon.own_facade import OwnFacade
from trustedpods.provider.dns.control import Resolver
from trustedpods.provider.doors import Doors
from trustedpods.provider.facade.activator.wake import refuse_wakes
from trustedpods.provider.facade.facade import Facade
from trustedpods.provider.facade.haproxy.runtime import Runtime
from trustedpods.provider.facade.kernel.overlay import KernelWays
from trustedpods.provider.facade.pools import SlotProtocol
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.keys.file import read_key, read_key_of
from trustedpods.provider.keys.generations import NewestGenerations
from trustedpods.provider.store.operator.transactions import BooksJournal
from trustedpods.provider.store.spool import Spool

_log = logging.getLogger(__name__)

DOORS_WITHIN_S = 120.0
"""How long the daemon waits at its start for chain, cluster and facade."""


@asynccontextmanager
async def open_doors(config: ProviderConfig) -> AsyncIterator[Doors]:
    """Open everything that the daemon uses; Locked when another runs and this one cannot stand by."""
    keys = BootKeys.load_or_create(Path(config.identity.keys_dir))
    operator_key = read_key(Path(config.identity.operator_key_file))
    collector = tee.from_setting(config.identity.tee, config.identity.trust, config.identity.tee_files)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(open_cluster(Path(config.cluster.kubeconfig)))
        facade = _facade(config, keys)
        own = OwnFacade(facade.rest, partial(refuse_wakes, Path(config.facade.wake_socket)))
        store = await stack.enter_async_context(opened_books(config, keys, cluster, own))
        yield Doors(
            config=config,
            keys=keys,
            operator_key=operator_key,
            collector=collector,
            store=store,
            spool=Spool(Path(config.store.spool), config.store.spool_quota_mib),
            chain=await stack.enter_async_context(
                Chain(
                    config.market.rpcs,
                    config.market.market,
                    agree=config.market.rpc_agree,
                    journal=BooksJournal(store),
                )
            ),
            cluster=cluster,
            registry=await stack.enter_async_context(
                open_image_registry(
                    f"http://{config.cluster.registry}", read_key_of(config.cluster.pull_key_file)
                )
            ),
            resolver=Resolver(config.facade.resolvers),
            facade=facade,
            generations=NewestGenerations(Path(config.identity.keys_dir)),
            traffic=traffic_source(config.cluster.traffic_socket, config.cluster.traffic_sockets_of_nodes),
            freezer=Freezer([Path(one) for one in config.cluster.freezer_sockets]),
        )


def _facade(config: ProviderConfig, keys: BootKeys) -> Facade:
    """This node's; it has a name to be filled by only where another node's may serve in its stead."""
    shared = config.store.database is not None
    return Facade(
        Runtime(Path(config.facade.runtime_socket)),
        map_file=Path(config.facade.map_file),
        pools=config.facade.pools,
        tls_dir=config.facade.tls_dir(config.identity.keys_dir) if config.facade.tls_binds else None,
        daemon=holder_of(Path(config.store.path), keys, shared=True) if shared else None,
        kernel=_kernel_ways(config),
    )


def _kernel_ways(config: ProviderConfig) -> KernelWays | None:
    """What leads past HAProxy, if the operator lets it."""
    facade = config.facade
    if facade.tcp != "kernel" or facade.ways_socket is None:
        return None
    if config.egress.limits:
        _log.warning("tcp services stay in HAProxy: limits of `[egress]` would hold back their answers")
        return None
    first = facade.tcp_port(facade.pools.slots(SlotProtocol.TCP)[0])
    door = KernelWaysDoor(Path(facade.ways_socket))
    return KernelWays(door, facade.pools, first, facade.source_connections)


async def wait_for_doors(doors: Doors) -> None:
    """Wait for all that the daemon with a market uses; see `wait_for`."""
    await wait_for(
        ("chain", doors.chain.check_market),
        ("cluster", doors.cluster.version),
        ("registry", doors.registry.ping),
    )


async def wait_for(*asked: tuple[str, Callable[[], Awaitable[object]]]) -> None:
    """At the start of a machine everything starts at once: wait for the others, then say who is missing."""
    deadline = trio.current_time() + DOORS_WITHIN_S
    for name, ask in asked:
        while True:
            try:
                await ask()
            except NetworkFailure as error:
                if trio.current_time() > deadline:
                    raise
                _log.info("waiting for the %s: %s", name, error)
                await trio.sleep(0.5)
            else:
                break
