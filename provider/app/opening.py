# SPDX-License-Identifier: Apache-2.0
"""Opens all doors of the daemon as its configuration says, and closes them at its end."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from trustedpods.contracts.client import Chain
from trustedpods.contracts.records import Market
from trustedpods.protocol.ids import Address
from trustedpods.provider import tee
from trustedpods.provider.app.doors import Doors
from trustedpods.provider.blobstore import BlobStore
from trustedpods.provider.cluster.client import open_cluster
from trustedpods.provider.cluster.registry import open_registry
from trustedpods.provider.cluster.traffic import traffic_source
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.facade.facade import Facade
from trustedpods.provider.facade.runtime import Runtime
from trustedpods.provider.gate import Gate
from trustedpods.provider.keyfile import read_key
from trustedpods.provider.keys import BootKeys
from trustedpods.provider.marks import Marks
from trustedpods.provider.resolver import Resolver
from trustedpods.provider.store import Vault, open_store


@asynccontextmanager
async def open_doors(config: ProviderConfig) -> AsyncIterator[Doors]:
    """Open everything that the daemon uses; Locked when another one runs."""
    keys = BootKeys.load_or_create(Path(config.identity.keys_dir))
    market = Market(
        chain_id=config.market.chain_id,
        payments=Address(config.market.payments),
        registry=Address(config.market.registry),
        token=Address(config.market.token),
        finality_blocks=config.market.finality_blocks,
    )
    journal = Path(config.store.path).parent / "transactions"
    async with AsyncExitStack() as stack:
        yield Doors(
            config=config,
            keys=keys,
            operator_key=read_key(Path(config.identity.operator_key_file)),
            collector=tee.from_setting(config.identity.tee, config.identity.trust, config.identity.tee_files),
            store=await stack.enter_async_context(
                open_store(Path(config.store.path), Vault(keys.hpke.to_bytes()))
            ),
            blobs=BlobStore(Path(config.store.spool), config.store.spool_quota_mib),
            chain=await stack.enter_async_context(Chain(config.market.rpc, market, journal=journal)),
            cluster=await stack.enter_async_context(open_cluster(Path(config.cluster.kubeconfig))),
            registry=await stack.enter_async_context(open_registry(f"http://{config.cluster.registry}")),
            resolver=Resolver(config.facade.resolvers),
            facade=Facade(
                Runtime(Path(config.facade.runtime_socket)),
                map_file=Path(config.facade.map_file),
                pools=config.facade.pools,
                tls_dir=config.facade.tls_dir(config.identity.keys_dir) if config.facade.tls_binds else None,
            ),
            marks=Marks(Path(config.identity.keys_dir)),
            gate=Gate(Path(config.store.path).parent),
            traffic=traffic_source(config.cluster.traffic_socket),
        )
