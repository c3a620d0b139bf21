# SPDX-License-Identifier: Apache-2.0
"""The daemon of a cluster without a market: documents and leases of networks, and nothing else.

It has no chain, no facade and no pods. Whatever else it is asked it refuses, with the rule `no-market`.
"""

import hashlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.evidence import KeyBinding
from trustedpods.protocol.ids import Address, address_bytes
from trustedpods.protocol.messages.provider import DocumentsProfile
from trustedpods.protocol.net import Host, open_host
from trustedpods.protocol.protocol_ids import PROVIDER
from trustedpods.protocol.sealing.requests import ChainContext, OpenedRequest
from trustedpods.protocol.sealing.subjects import NetworkRef
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider import tee
from trustedpods.provider.admission.arrivals import AdmissionLimits
from trustedpods.provider.admission.gate import Gate
from trustedpods.provider.admission.network_questions import NetworkQuestions
from trustedpods.provider.cluster.client import open_cluster
from trustedpods.provider.daemon.leader import hold_lease, keep_lease
from trustedpods.provider.daemon.process import notify_ready, stop_on_signal
from trustedpods.provider.daemon.startup import wait_for
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.metrics import Metrics
from trustedpods.provider.networks.networks import Networks
from trustedpods.provider.server.conversations import Conversations, FirstCheck
from trustedpods.provider.server.networks import NetworkRequests
from trustedpods.provider.store import Store, Vault, open_store
from trustedpods.provider.supervise import supervise
from trustedpods.provider.tee import Collector
from trustedpods.provider.without_market import DocumentsConfig

if TYPE_CHECKING:
    from trio_typing import TaskStatus

    from trustedpods.provider.cluster.client import Cluster

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DocumentDoors:
    """The open doors of a daemon without a market, as `SharedDoors` has them."""

    config: DocumentsConfig
    keys: BootKeys
    collector: Collector
    store: Store
    cluster: "Cluster"
    clock: Callable[[], float] = time.time
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def books(self) -> Path:
        """The file of the store."""
        return Path(self.config.store.path)

    @property
    def shared_books(self) -> bool:
        """They stay on their node."""
        return False

    @property
    def owner(self) -> Address:
        """The address that the daemon is known under."""
        return Address(self.config.identity.owner)

    @property
    def context(self) -> ChainContext:
        """The market that requests are signed for."""
        return self.config.market.context

    def now(self) -> UnixSeconds:
        """This machine's clock, in whole seconds."""
        return UnixSeconds(int(self.clock()))

    def profile(self) -> bytes:
        """What the daemon says of itself beside its evidence."""
        identity = self.config.identity
        return encode(
            DocumentsProfile(
                owner=address_bytes(self.owner),
                daemon=identity.daemon,
                trust=identity.trust,
                simulated=self.collector.simulated,
            )
        )

    def binding(self, peer_id: bytes) -> KeyBinding:
        """The keys, bound to the class and to what of the settings concerns members."""
        told = self.config.model_dump_json(include={"market", "identity"}).encode()
        return self.keys.binding(self.config.identity.trust, peer_id, hashlib.sha256(told).digest())


async def serve_documents(config: DocumentsConfig) -> None:
    """Run the daemon until SIGTERM or SIGINT. Locked while another one has the books or the cluster."""
    async with open_document_doors(config) as doors:
        await wait_for(("cluster", doors.cluster.version))
        async with open_host(doors.keys.libp2p_seed, config.net.listen) as host:
            await run_documents(doors, host)


@asynccontextmanager
async def open_document_doors(config: DocumentsConfig) -> AsyncIterator[DocumentDoors]:
    """Open what the daemon uses."""
    identity = config.identity
    keys = BootKeys.load_or_create(Path(identity.keys_dir), require_tmpfs=identity.trust != "open")
    async with (
        open_store(Path(config.store.path), Vault(keys.hpke.to_bytes())) as store,
        open_cluster(Path(config.cluster.kubeconfig)) as cluster,
    ):
        collector = tee.from_setting(identity.tee, identity.trust, identity.tee_files)
        yield DocumentDoors(config, keys, collector, store, cluster)


async def run_documents(
    doors: DocumentDoors, host: Host, *, task_status: "TaskStatus[None]" = trio.TASK_STATUS_IGNORED
) -> None:
    """Every task of the daemon, until it is cancelled or told to stop by a signal."""
    networks = Networks(doors)
    conversations = Conversations(
        doors,
        doors.binding(host.peer_id),
        doors.profile(),
        {"network": NetworkRequests(networks).network},
        _first_check(await Gate.open(doors.store)),
    )
    host.serve(PROVIDER, conversations.handle)
    async with trio.open_nursery() as nursery:
        await hold_lease(doors)
        nursery.start_soon(stop_on_signal, nursery.cancel_scope)
        nursery.start_soon(keep_lease, doors)
        nursery.start_soon(supervise, "telling of networks' leases", networks.keep_telling)
        conversations.begin()
        for address in host.reached_at(doors.config.net.announce):
            _log.info("keeping documents at %s/%d@%s", doors.owner, doors.config.identity.daemon, address)
        notify_ready()
        task_status.started()
    _log.info("stopped; documents stay in the cluster")


def _first_check(gate: Gate) -> FirstCheck:
    questions = NetworkQuestions(gate, AdmissionLimits().of_networks)

    def check(request: OpenedRequest, address: str) -> None:
        if request.verb != "network" or not isinstance(request.subject, NetworkRef):
            raise Refused(
                "this daemon keeps networks' documents and leases only: no market, and no pods",
                rule="no-market",
                hint="`trustedpods provider list` prints those that take pods",
            )
        questions.check(request.subject, request.signer, address)

    return check
