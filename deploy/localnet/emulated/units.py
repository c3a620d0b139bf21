# SPDX-License-Identifier: Apache-2.0
"""The emulated machine of a localnet as units: its row, its disks, itself, and that the row leads to it."""

import os
import socket
import sys
from functools import partial
from pathlib import Path

from trustedpods.guest.attached.configuration_disk import configuration_disk
from trustedpods.localnet import network
from trustedpods.localnet.commands import run, succeeds
from trustedpods.localnet.emulated import files
from trustedpods.localnet.folders import replace_file
from trustedpods.localnet.market import accounts
from trustedpods.localnet.market import files as market_files
from trustedpods.localnet.processes.units import Part, Step, Unit
from trustedpods.localnet.settings import Cluster, Settings
from trustedpods.protocol.errors import NetworkFailure

_REGISTER_LIMIT_S = 60
_HELLO = b"\x13/multistream/1.0.0\n"
"""The first that libp2p says to whoever connects."""

_HELLO_LIMIT_S = 5.0


def units(settings: Settings, cluster: Cluster) -> list[Unit]:
    """Everything of the provider of *cluster*, in a machine of the image, on top of a chain with a market."""
    name, disks = cluster.name, files.disks(cluster)
    words = (sys.executable, "-m", "trustedpods.localnet.emulated.launch", str(settings.state))
    return [
        Step(f"{name}/disks", partial(_make_disks, settings, cluster, *disks), ("market",)),
        Step(f"{name}/register", partial(_register, cluster), (f"{name}/disks",)),
        Part(f"{name}/machine", words, partial(_answers, cluster), (f"{name}/register",)),
        Step(f"{name}/row", partial(_await_row, cluster), (f"{name}/machine",)),
    ]


def config_file(cluster: Cluster) -> Path:
    """The daemon's settings, with the owner's key, for verbs of the owner."""
    return cluster.path("provider.toml")


def _make_disks(settings: Settings, cluster: Cluster, configuration: Path, data: Path) -> None:
    market = market_files.read_market(settings.state)
    owner_key, operator_key = accounts.owner_key(cluster), accounts.operator_key(cluster)
    key = operator_key.read_text().strip()
    text = files.disk_text(files.configuration(settings, cluster, market, accounts.address(owner_key), key))
    replace_file(configuration, configuration_disk(text), 0o600)
    replace_file(config_file(cluster), files.owners_toml(settings, text, owner_key, operator_key).encode())
    if not data.exists():
        replace_file(data, b"", 0o600)
    os.truncate(data, files.DATA_BYTES)


def _register(cluster: Cluster) -> None:
    """Before the first boot: the daemon itself adds who and where it is at each, by the operator's key."""
    if succeeds(_row("there", cluster)):
        return
    program = str(Path(sys.executable).with_name("trustedpods-provider"))
    words: list[str | Path] = [program, "register", "--ahead", "--config", config_file(cluster)]
    run(words, timeout=_REGISTER_LIMIT_S)


def _answers(cluster: Cluster) -> None:
    """The host's port takes every connection: only what is said shows that the daemon is there."""
    with network.connect(None, "127.0.0.1", cluster.ports.peer, _HELLO_LIMIT_S) as made:
        said = made.recv(len(_HELLO), socket.MSG_WAITALL)
    if said != _HELLO:
        raise NetworkFailure("the daemon does not answer yet")


def _await_row(cluster: Cluster) -> None:
    run(_row("leads", cluster))


def _row(verb: str, cluster: Cluster) -> list[str | Path]:
    return [sys.executable, "-m", "trustedpods.localnet.emulated.row", verb, config_file(cluster)]
