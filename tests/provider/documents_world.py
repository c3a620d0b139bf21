# SPDX-License-Identifier: Apache-2.0
"""A daemon without a market over a cluster in memory; store, keys, network and every task are real."""

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from tests.fakes.chain.chain import FakeChain
from tests.fakes.cluster import FakeCluster
from tests.fakes.provider.world import put_empty_books
from trustedpods.protocol.net import open_host
from trustedpods.provider.daemon.documents import DocumentDoors, run_documents
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.store import Vault, open_store
from trustedpods.provider.tee import NoTee
from trustedpods.provider.without_market import DocumentsConfig

OWNER = "0x" + "77" * 20
DAEMON = 3


def documents_config(folder, market):
    """A configuration whose every path lies in *folder*."""
    return DocumentsConfig.model_validate(
        {
            "market": {"chain_id": market.chain_id, "payments": market.payments},
            "identity": {"owner": OWNER, "daemon": DAEMON, "keys_dir": str(folder / "keys")},
            "net": {"listen": ["/ip4/127.0.0.1/tcp/0"]},
            "cluster": {"kubeconfig": "/nowhere"},
            "store": {"path": str(folder / "books" / "store.db")},
        }
    )


@dataclass
class DocumentsWorld:
    """What is outside the daemon; it survives `run`."""

    folder: Path
    chain: FakeChain = field(default_factory=FakeChain)
    keys: BootKeys = field(default_factory=BootKeys.generate)
    cluster: FakeCluster = field(default_factory=FakeCluster)

    @property
    def owner(self):
        return OWNER

    @property
    def now(self):
        return time.time()

    @asynccontextmanager
    async def run(self):
        """The daemon; its address, with its peer id."""
        config = documents_config(self.folder, self.chain.market)
        books = Path(config.store.path)
        await put_empty_books(books)
        async with open_store(books, Vault(self.keys.hpke.to_bytes())) as store:
            doors = DocumentDoors(config, self.keys, NoTee(), store, self.cluster)
            async with (
                open_host(self.keys.libp2p_seed, config.net.listen) as host,
                trio.open_nursery() as nursery,
            ):
                await nursery.start(run_documents, doors, host)
                yield host.addresses[0]
                nursery.cancel_scope.cancel()
