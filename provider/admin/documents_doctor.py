# SPDX-License-Identifier: Apache-2.0
"""Looks at what a daemon without a market needs: keys, its machine, and rights in its cluster."""

import secrets
import time
from pathlib import Path

import trio

from trustedpods.protocol.attestation.report_data import REPORT_DATA_BYTES
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.net import open_host
from trustedpods.protocol.net.addresses import peer_name
from trustedpods.provider import tee
from trustedpods.provider.admin.doctor import Finding, look_at
from trustedpods.provider.cluster.client import Cluster, open_cluster
from trustedpods.provider.cluster.networks.documents import NetworkLease, NetworkObject
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.without_market import DocumentsConfig

PROBE = "network-doctor-"
"""Begins the names of the Secret and the Lease that are written and removed again."""


async def examine_documents(config: DocumentsConfig) -> list[Finding]:
    """One finding for each part, in the order in which they need each other."""
    return await look_at(config, (("keys", _keys), ("tee", _tee), ("cluster", _cluster), ("rights", _rights)))


async def _keys(config: DocumentsConfig) -> str:
    identity = config.identity
    keys = BootKeys.load_or_create(Path(identity.keys_dir), require_tmpfs=identity.trust != "open")
    async with open_host(keys.libp2p_seed, []) as host:
        return f"{identity.owner}/{identity.daemon}, peer {peer_name(host.peer_id)}"


async def _tee(config: DocumentsConfig) -> str:
    identity = config.identity
    collector = tee.from_setting(identity.tee, identity.trust, identity.tee_files)
    await trio.to_thread.run_sync(collector.collect, bytes(REPORT_DATA_BYTES))
    return "simulated: for a localnet only" if collector.simulated else collector.kind


async def _cluster(config: DocumentsConfig) -> str:
    async with open_cluster(Path(config.cluster.kubeconfig)) as cluster:
        return await cluster.version()


async def _rights(config: DocumentsConfig) -> str:
    async with open_cluster(Path(config.cluster.kubeconfig)) as cluster:
        return await written_and_removed(cluster, config)


async def written_and_removed(cluster: Cluster, config: DocumentsConfig) -> str:
    """Write a document and a Lease as for a network, and remove both. Raises what the API server refuses."""
    name = PROBE + secrets.token_hex(6)
    probe = NetworkObject(name, "0x" + address_bytes(config.market.context.payments).hex(), "doctor")
    now = time.time()
    version = await cluster.keep_network_document(probe, b"doctor", None)
    try:
        await cluster.kept_networks()
        await cluster.networks_with_lease()
        await cluster.tell_network_lease(probe, NetworkLease("", 1, now, now, 0))
        await cluster.tell_network_lease(probe, None)
    finally:
        await cluster.remove_network_document(probe, version)
    return "documents and leases can be written and removed"
