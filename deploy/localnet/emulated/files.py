# SPDX-License-Identifier: Apache-2.0
"""What the operator of an emulated machine writes, and the command that starts it."""

import dataclasses
import json
import sys
import tomllib
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final

from trustedpods.contracts.records import Market
from trustedpods.guest.attached.devices import Answering, Attached, Forward, attached_words
from trustedpods.guest.machine import Platform, qemu_words
from trustedpods.localnet.emulated import boot_files
from trustedpods.localnet.guest import daemon_files, main, plan
from trustedpods.localnet.guest.configuration import GuestConfiguration
from trustedpods.localnet.guest.machine_network import PEER_PORT
from trustedpods.localnet.market import pricing, provider_files
from trustedpods.localnet.settings import Cluster, Settings
from trustedpods.localnet.toml_text import toml_text
from trustedpods.protocol.ids import Address

HOST: Final = IPv4Address("10.0.2.2")
"""The host's loopback, as qemu's own network shows it to the guest."""

CARD: Final = "10.0.2.15/24"
NAMESERVER: Final = "10.0.2.3"
SIGNER: Final = (IPv4Address("10.0.2.100"), 4050)
"""Where the guest asks for evidence: an address of qemu's own network, where nothing else is."""

DATA_BYTES: Final = 16 << 30
"""Of the data disk; its file takes only what was written."""

START_LIMIT_S: Final = 600
"""For a replica: emulated processors take half a minute for what others take a second, a busy host's more."""

HTTP, HTTPS = 80, 443


def configuration(
    settings: Settings, cluster: Cluster, market: Market, owner: Address, operator_key: str
) -> dict[str, Any]:
    """What the configuration disk says; *operator_key* is its text. Its evidence is simulated, outside."""
    knobs = settings.knobs
    return {
        "version": 1,
        "network": {"address": CARD, "gateway": str(HOST), "nameserver": NAMESERVER},
        "operator": {
            "owner": owner,
            "daemon": 1,
            "operator_key": operator_key,
            "tee": "simulated:{}:{}".format(*SIGNER),
            "trust": "sealed",
            "region": "localnet",
            "domain": cluster.domain,
            "url_suffix": cluster.url_suffix,
            "announce": [f"/ip4/127.0.0.1/tcp/{cluster.ports.peer}"],
        },
        "market": {
            "rpc": f"http://{HOST}:{settings.clusters[0].ports.chain}",
            **dataclasses.asdict(market),
        },
        "prices": pricing.prices(knobs.decimals, cluster.price_percent).model_dump(mode="json"),
        "terms": {**provider_files.terms_table(knobs), "start_limit_s": START_LIMIT_S},
    }


def owners_toml(settings: Settings, text: bytes, owner_key: Path, operator_key: Path) -> str:
    """The daemon's settings for who stands outside with the owner's key, from the disk's *text*."""
    read = GuestConfiguration.model_validate_json(text)
    (inside,) = plan.settings(main.STATE).all_clusters()
    table = tomllib.loads(daemon_files.provider_toml(inside, read))
    table["market"]["rpc"] = settings.rpc
    table["identity"] |= {"owner_key_file": str(owner_key), "operator_key_file": str(operator_key)}
    return toml_text(table)


def boot_folder(cluster: Cluster) -> Path:
    """Where the files lie that the machine boots, with what was measured of them."""
    return cluster.path("boot")


def disks(cluster: Cluster) -> tuple[Path, Path]:
    """Configuration and data."""
    return cluster.path("configuration.disk"), cluster.path("data.disk")


def machine_words(settings: Settings, cluster: Cluster) -> tuple[str, ...]:
    """The command for the image's machine as it is now, with its disks, and its ports in and to its signer.

    What it boots is kept and measured first; raises as `boot_files.keep`.
    """
    assert settings.guest is not None
    machine, ports = boot_files.keep(settings.guest, boot_folder(cluster)), cluster.ports
    measured = boot_files.measurement(boot_folder(cluster)).hex()
    led = ((ports.http, HTTP), (ports.https, HTTPS), (ports.peer, PEER_PORT))
    # told to this machine's signer, not read by it: an older machine that still runs stays what it is
    signer = (sys.executable, "-m", "trustedpods.localnet.emulated.signer", str(settings.state), measured)
    attached = Attached(
        *disks(cluster),
        tuple(Forward(host, guest) for host, guest in led),
        (Answering(*SIGNER, signer),),
    )
    return (*qemu_words(machine), *attached_words(Platform.EMULATION, attached))


def disk_text(table: dict[str, Any]) -> bytes:
    """The bytes of a configuration."""
    return json.dumps(table, indent=1).encode()
