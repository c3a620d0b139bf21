# SPDX-License-Identifier: Apache-2.0
"""Looks at the machine, its cluster, the market and the daemon; makes the daemon's account in the cluster."""

import os
import socket
from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import trio

from trustedpods.contracts.client import Chain
from trustedpods.contracts.records import Market
from trustedpods.protocol.errors import BadInput, NoContext, Refused
from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.provider.admin.socket import ask_daemon
from trustedpods.provider.admin.views import DaemonIdentity, IdentityRequest
from trustedpods.provider.cluster.api.http import Api, open_api, path_of
from trustedpods.provider.cluster.api.kubeconfig import load
from trustedpods.provider.cluster.client import open_cluster
from trustedpods.provider.cluster.objects.names import APPLIER, KubeObject
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.setup import daemon_account
from trustedpods.provider.setup.configuration import PORTS
from trustedpods.provider.setup.facts import ClusterFound, MachineFound, MarketFound, OwnerFound
from trustedpods.provider.setup.market_prices import asked, comparable
from trustedpods.provider.tee.hardware import HardwareTee
from trustedpods.provider.tee.tsm import REPORTS, ConfigfsTsm

KUBECONFIGS = (
    "/etc/trustedpods/kubeconfig",
    "/etc/rancher/k3s/k3s.yaml",
    "/etc/kubernetes/admin.conf",
    "~/.kube/config",
)
"""Where one is looked for, the daemon's own first."""

TOKEN_WITHIN_S = 30.0
"""The cluster's controller takes well under a second; a busy one some."""

LOOK_AGAIN_S = 0.2

_FAR_AWAY = ("192.0.2.1", 9)
"""Nobody's address (RFC 5737): a datagram socket tied to it tells the way there, and sends nothing."""

_LISTENING = "0A"
"""State of a socket that listens, in /proc/net/tcp."""


class SetupSite(Protocol):
    """What a set-up asks of the world. Errors are ours; only `own_access` changes anything."""

    def machine(self) -> MachineFound:
        """TEE, address and ports of this machine."""

    async def cluster(self, path: str) -> ClusterFound:
        """The cluster of that kubeconfig; NoContext, NetworkFailure or Refused say what is wrong."""

    async def own_access(self, path: str) -> str:
        """A kubeconfig of the daemon's own for that cluster, made by the rights of the one at *path*.

        Refused where that one may make no roles, and where somebody else has an account of that name.
        """

    async def market(self, rpc: str, market: Market, owner: Address, trust: TrustClass) -> MarketFound:
        """Token and rows; NoContext where the node serves another market."""

    async def owner(self, config: ProviderConfig, operator: Address) -> OwnerFound:
        """What stands in the chain of the owner's, and what the operator's key holds for gas."""

    async def daemon(self, config: ProviderConfig) -> DaemonIdentity | None:
        """What the running daemon says of itself; None where none runs."""


class RealSite:
    """The real ones."""

    def machine(self) -> MachineFound:
        """TEE, address and ports of this machine."""
        return MachineFound(_tee(), _own_address(), taken(PORTS))

    async def cluster(self, path: str) -> ClusterFound:
        """The cluster of that kubeconfig."""
        async with open_cluster(Path(path)) as cluster:
            capacity, features = await cluster.capacity(), await cluster.features()
            addresses = [one for name in sorted(features.nodes) for one in await cluster.node_addresses(name)]
            return ClusterFound(
                kubeconfig=path,
                version=await cluster.version(),
                nodes=capacity.nodes,
                allocatable=capacity.allocatable,
                free=capacity.free,
                storage_classes=tuple(sorted(features.storage_classes)),
                ingress_classes=tuple(sorted(features.ingress_classes)),
                addresses=tuple(one for one in addresses if ":" not in one),
                user_namespaces=all(
                    name in features.nodes and features.nodes[name].user_namespaces for name in capacity.nodes
                )
                and bool(capacity.nodes),
            )

    async def own_access(self, path: str) -> str:
        """The account, its rights and its token; done again it changes nothing."""
        access = await load(Path(path))
        wanted = {place_of(one): one for one in daemon_account.account()}
        async with open_api(access) as api:
            for place, one in wanted.items():
                found = await api.find(place)
                if found is not None and daemon_account.is_others(found):
                    raise Refused(
                        f"the {one['kind']} {daemon_account.NAME} is there, and `setup` did not make it"
                    )
            for place, one in wanted.items():
                await api.apply(place, one, APPLIER)
            files = await _token(api, place)
        return daemon_account.kubeconfig_text(access.server, files["ca.crt"], files["token"])

    async def market(self, rpc: str, market: Market, owner: Address, trust: TrustClass) -> MarketFound:
        """Token, and what comparable rows ask."""
        async with Chain(rpc, market) as chain:
            await chain.check_market()
            token, head, rows = await chain.token_info(), await chain.head(), await chain.providers()
        others = comparable(rows, owner=owner, token=market.token, trust=trust, now=head.time)
        return MarketFound(market, token.symbol, token.decimals, asked(others))

    async def owner(self, config: ProviderConfig, operator: Address) -> OwnerFound:
        """Row, operator's rights and coin."""
        owner = Address(config.identity.owner)
        async with Chain(config.market.rpc, config.market.market) as chain:
            return OwnerFound(
                row=await chain.provider(owner, config.identity.daemon),
                operator_named=await chain.is_operator(owner, operator),
                operator_wei=await chain.gas_balance(operator),
                gas_price=await chain.gas_price(),
            )

    async def daemon(self, config: ProviderConfig) -> DaemonIdentity | None:
        """What the running daemon says of itself."""
        try:
            return await ask_daemon(config.admin_socket, IdentityRequest(), DaemonIdentity)
        except NoContext:
            return None


def place_of(wanted: KubeObject) -> str:
    """Where an object lives."""
    metadata = wanted["metadata"]
    return path_of(wanted["kind"], metadata.get("namespace"), metadata["name"])


async def _token(api: Api, place: str) -> dict[str, bytes]:
    """What the cluster wrote into the account's Secret; NoContext where it writes nothing."""
    with trio.move_on_after(TOKEN_WITHIN_S):
        while True:
            made = (await api.get(place)).get("data") or {}
            if {"token", "ca.crt"} <= made.keys():
                return {name: b64decode(text) for name, text in made.items()}
            await trio.sleep(LOOK_AGAIN_S)
    raise NoContext(
        f"the cluster wrote no token for the account {daemon_account.NAME}",
        hint="does its controller manager run? then run this again",
    )


def kubeconfig(
    given: str | None, environment: Mapping[str, str] = os.environ, places: Sequence[str] = KUBECONFIGS
) -> str:
    """The path that was answered, or the first that is there; BadInput where there is none."""
    if given is not None:
        return given
    first = [environment["KUBECONFIG"]] if environment.get("KUBECONFIG") else []
    for place in [*first, *places]:
        if (path := Path(place).expanduser()).is_file():
            return str(path.absolute())
    raise BadInput(
        f"no Kubernetes was found: there is none of {', '.join(places)}",
        where="--kubeconfig",
        hint="install one (k3s is enough for one machine), or name its kubeconfig",
    )


def _tee() -> Literal["sev-snp", "tdx"] | None:
    try:
        return HardwareTee(ConfigfsTsm(REPORTS), None).kind
    except NoContext:
        return None


def _own_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_FAR_AWAY)
        except OSError:
            return None
        return str(probe.getsockname()[0])


def taken(ports: Mapping[int, str]) -> dict[int, str]:
    """Those of *ports* at which anybody listens."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not (path := Path(table)).exists():
            continue
        for line in path.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING:
                found.add(int(fields[1].rpartition(":")[2], 16))
    return {port: use for port, use in ports.items() if port in found}
