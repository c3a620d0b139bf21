# SPDX-License-Identifier: Apache-2.0
"""Looks at each part that the daemon needs, one after another, and says what is missing."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import trio

from trustedpods.contracts.client import Chain
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.attestation.report_data import REPORT_DATA_BYTES
from trustedpods.protocol.errors import NoContext, TrustedPodsError
from trustedpods.provider import tee
from trustedpods.provider.admin import offered_parts, outside, probes
from trustedpods.provider.admin.chain_nodes import several_nodes
from trustedpods.provider.admission.isolation_probe import users_at
from trustedpods.provider.cluster.client import open_cluster
from trustedpods.provider.cluster.image_registry import open_image_registry
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.core.operator_key.rotation import CHANGE_WORDS
from trustedpods.provider.facade.haproxy.runtime import Runtime
from trustedpods.provider.keys.file import read_key
from trustedpods.provider.keys.operator_files import change_of

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at one part told: `text` is what is there, or what is missing and what helps.

    Of a cluster of several nodes a part that live pods show is one for each, with the node's name behind it.
    """

    part: str
    state: Literal["ok", "missing"]
    text: str


async def examine(config: ProviderConfig) -> list[Finding]:
    """One finding for each part, in the order in which they need each other."""
    looks: tuple[tuple[str, Callable[[ProviderConfig], Awaitable[str]]], ...] = (
        ("keys", _keys),
        ("tee", _tee),
        ("chain", _chain),
        *several_nodes(config),
        ("clock", outside.clock),
        ("gas", outside.gas),
        ("cluster", _cluster),
        ("registry", _registry),
        ("facade", _facade),
        ("activator", probes.activator),
        ("daemon", probes.daemon),
        ("publishers", probes.publishers),
        ("store", probes.store),
        ("disk", outside.disk),
        ("ports", outside.ports),
        ("names", outside.names),
        ("certificate", outside.certificate),
        ("traffic", probes.traffic),
        ("sleep", probes.sleep),
        ("ingress", offered_parts.ingress),
        ("storage", offered_parts.storage),
        ("csi", offered_parts.csi),
    )
    tries: tuple[tuple[str, probes.Try], ...] = (
        ("isolation", probes.isolation),
        ("scratch", probes.scratch),
        ("users", users_at),
    )
    findings = await look_at(config, looks)
    for part, attempt in tries:
        findings += await _by_node(config, part, attempt)
    return findings


async def look_at(config: C, looks: Sequence[tuple[str, Callable[[C], Awaitable[str]]]]) -> list[Finding]:
    """What each look tells, or what it fails with."""
    findings = []
    for part, look in looks:
        try:
            findings.append(_finding(part, await look(config)))
        except TrustedPodsError as error:
            findings.append(_finding(part, error))
    return findings


async def _by_node(config: ProviderConfig, part: str, attempt: probes.Try) -> list[Finding]:
    try:
        shown = await probes.on_nodes(config, attempt)
    except TrustedPodsError as error:
        return [_finding(part, error)]
    return [_finding(part if len(shown) == 1 else f"{part} {one.node}", one.told) for one in shown]


def _finding(part: str, told: str | TrustedPodsError) -> Finding:
    if isinstance(told, str):
        return Finding(part, "ok", told)
    return Finding(part, "missing", f"{told} ({told.hint})" if told.hint else f"{told}")


async def _keys(config: ProviderConfig) -> str:
    """The operator's address; NoContext while a change of keys is half done."""
    path = Path(config.identity.operator_key_file)
    found = f"operator {address_of(read_key(path))}"
    how_far = change_of(path)
    if how_far is None:
        return found
    raise NoContext(
        f"{found}; {CHANGE_WORDS[how_far]}", hint="trustedpods-provider operator-key says what is next"
    )


async def _tee(config: ProviderConfig) -> str:
    identity = config.identity
    collector = tee.from_setting(identity.tee, identity.trust, identity.tee_files)
    if collector.simulated:
        return "simulated: for a localnet only"
    evidence = await trio.to_thread.run_sync(collector.collect, bytes(REPORT_DATA_BYTES))
    return collector.kind if collector.kind == "none" else f"{collector.kind}: {len(evidence.report)} bytes"


async def _chain(config: ProviderConfig) -> str:
    async with Chain(config.market.rpcs, config.market.market, agree=config.market.rpc_agree) as chain:
        await chain.check_market()
        head = await chain.head()
        gas = await chain.gas_balance(address_of(read_key(Path(config.identity.operator_key_file))))
    return f"block {head.number}, operator holds {gas} wei"


async def _cluster(config: ProviderConfig) -> str:
    async with open_cluster(Path(config.cluster.kubeconfig)) as cluster:
        version, free = await cluster.version(), (await cluster.capacity()).free
    return f"{version}, free: {free.cpu_milli}m CPU, {free.memory_mib} MiB"


async def _registry(config: ProviderConfig) -> str:
    async with open_image_registry(f"http://{config.cluster.registry}") as registry:
        await registry.ping()
    return config.cluster.registry


async def _facade(config: ProviderConfig) -> str:
    boot = await Runtime(Path(config.facade.runtime_socket)).boot()
    return f"HAProxy process {boot}{await probes.kernel_tcp(config)}"
