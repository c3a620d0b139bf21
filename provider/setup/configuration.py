# SPDX-License-Identifier: Apache-2.0
"""From answers and facts to the settings, over those that are there. Pure."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from pydantic import ValidationError

from trustedpods.contracts.records import Market
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.provider import Prices, TrustClass
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.setup.answers import SetupAnswers
from trustedpods.provider.setup.facts import ClusterFound, MachineFound, is_public

DATA = "/var/lib/trustedpods"
"""Where the units may write (StateDirectory)."""

RUNTIME = "/run/trustedpods"
"""In memory: keys of one boot, sockets, HAProxy's files."""

FIRST_DAEMON = 1
PEER_PORT = 4001
PORTS = {
    80: "http to pods (HAProxy)",
    443: "https to pods (HAProxy)",
    PEER_PORT: "publishers' clients (the daemon)",
    5000: "images, on the loopback (the registry)",
    9464: "the daemon's numbers, on the loopback",
    9465: "HAProxy's numbers, on the loopback",
}
"""Ports of a provider as it is set up here; the first three must be open to the world."""

OPEN_TO_THE_WORLD = (80, 443, PEER_PORT)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Everything that the settings need, whoever said it."""

    domain: str
    rpc: str
    market: Market
    owner: str
    prices: Prices
    trust: TrustClass
    region: str = ""
    daemon: int = FIRST_DAEMON
    data: str = DATA
    public_address: str | None = None
    user_namespaces: bool = False


def settings_of(
    chosen: Chosen,
    folder: str,
    cluster: ClusterFound,
    machine: MachineFound,
    existing: ProviderConfig | None,
) -> ProviderConfig:
    """The whole file. What stands in *existing* stays, unless it was *chosen* anew.

    *folder* is the one of provider.toml. `BadInput` where the two do not go together.
    """
    tables = existing.model_dump() if existing else _fresh(folder, machine)
    tables["prices"] = chosen.prices.model_dump()
    tables["market"] |= {
        "rpc": chosen.rpc,
        "chain_id": chosen.market.chain_id,
        "payments": chosen.market.payments,
        "registry": chosen.market.registry,
        "token": chosen.market.token,
        "finality_blocks": chosen.market.finality_blocks,
    }
    tables["identity"] |= {
        "owner": chosen.owner,
        "daemon": chosen.daemon,
        "trust": chosen.trust,
        "region": chosen.region,
        "domain": chosen.domain,
    }
    if existing is None or chosen.data != _data(existing):
        tables["store"] |= {"path": f"{chosen.data}/store.db", "spool": f"{chosen.data}/spool"}
    tables["cluster"] |= {"kubeconfig": cluster.kubeconfig, "user_namespaces": chosen.user_namespaces}
    if existing is None:
        tables["cluster"]["egress_closed"] = _closed(chosen, cluster, machine)
        tables["net"] |= _net(chosen, machine)
    elif chosen.public_address is not None:
        tables["net"]["announce"] = [_multiaddress(chosen.public_address)]
    try:
        return ProviderConfig.model_validate(tables)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadInput(first["msg"].removeprefix("Value error, "), where=key or None) from None


def kept(existing: ProviderConfig | None) -> SetupAnswers:
    """What settings that are there answer already; prices are kept as they are, mantissa by mantissa."""
    if existing is None:
        return SetupAnswers()
    identity = existing.identity
    return SetupAnswers(
        domain=identity.domain,
        rpc=existing.market.rpc,
        owner=identity.owner,
        region=identity.region or None,
        daemon=identity.daemon,
        data=_data(existing),
        trust=identity.trust,
        kubeconfig=existing.cluster.kubeconfig,
        user_namespaces=existing.cluster.user_namespaces,
    )


def _data(existing: ProviderConfig) -> str:
    """The folder of its books, whatever they are called: a daemon with other books knows none of its pods."""
    return str(PurePosixPath(existing.store.path).parent)


def _fresh(folder: str, machine: MachineFound) -> dict[str, dict[str, object]]:
    return {
        "market": {},
        "identity": {
            "operator_key_file": f"{folder}/operator.key",
            "keys_dir": f"{RUNTIME}/keys",
            "tee": "hardware" if machine.tee else "none",
            **({"tee_files": f"{folder}/tee"} if machine.tee else {}),
        },
        "net": {},
        "cluster": {},
        "facade": {
            "runtime_socket": f"{RUNTIME}/facade/runtime.sock",
            "activator_dir": f"{RUNTIME}/slots",
            "wake_socket": f"{RUNTIME}/wake.sock",
            "map_file": f"{RUNTIME}/facade/hosts.map",
            "tls_binds": ["*:443"],
            "exporter": "127.0.0.1:9465",
        },
        "store": {},
        "metrics": {},
    }


def _net(chosen: Chosen, machine: MachineFound) -> dict[str, object]:
    """It listens at this machine's own address, and tells the one that was answered."""
    own = machine.address or chosen.public_address
    if own is None:
        raise BadInput(
            "this machine has no way to the world, so no address to listen at",
            hint="give it a default route (`ip route`), or say --public-address",
        )
    told = [] if chosen.public_address is None else [_multiaddress(chosen.public_address)]
    return {"listen": [_multiaddress(own)], "announce": told}


def _multiaddress(address: str) -> str:
    return f"/ip4/{address}/tcp/{PEER_PORT}"


def _closed(chosen: Chosen, cluster: ClusterFound, machine: MachineFound) -> list[str]:
    """Public addresses of nodes and of this machine: no pod may call them."""
    known = {*cluster.addresses, machine.address, chosen.public_address}
    return [f"{one}/32" for one in sorted(one for one in known if one is not None and is_public(one))]
