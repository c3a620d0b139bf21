# SPDX-License-Identifier: Apache-2.0
"""The Ethereum accounts of a localnet: random keys, each in a file that only its owner can read."""

import secrets
from pathlib import Path

from trustedpods.localnet.folders import replace_file
from trustedpods.localnet.settings import Cluster, Settings
from trustedpods.protocol.ids import Address
from trustedpods.protocol.sealing.signatures import address_of

_SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def publisher_key(state: Path) -> Path:
    """The key of the person at the machine, who has tokens to spend."""
    return state / "publisher.key"


def deployer_key(state: Path) -> Path:
    """Deploys the contracts and may mint the test token."""
    return state / "accounts" / "deployer.key"


def owner_key(cluster: Cluster) -> Path:
    """The provider's owner: who is paid. A real one keeps this key elsewhere."""
    return cluster.path("accounts", "owner.key")


def operator_key(cluster: Cluster) -> Path:
    """Pays the provider's gas and can take nothing."""
    return cluster.path("accounts", "operator.key")


def key_files(settings: Settings) -> list[Path]:
    """All of them."""
    files = [deployer_key(settings.state), publisher_key(settings.state)]
    for cluster in settings.all_clusters():
        files += [owner_key(cluster), operator_key(cluster)]
    return files


def make_keys(settings: Settings) -> None:
    """Make the keys that are not there yet."""
    for file in key_files(settings):
        if not file.exists():
            number = secrets.randbelow(_SECP256K1_ORDER - 1) + 1
            replace_file(file, f"0x{number:064x}\n".encode(), 0o600)


def read_key(file: Path) -> bytes:
    """The 32 bytes of a private key."""
    return bytes.fromhex(file.read_text().strip().removeprefix("0x"))


def address(file: Path) -> Address:
    """Address of the key in the file."""
    return address_of(read_key(file))
