# SPDX-License-Identifier: Apache-2.0
"""What qemu is told of a guest's other disks and of its network card. No measurement depends on them."""

import shlex
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from trustedpods.guest.machine import Platform

CONFIGURATION_SERIAL: Final = "trustedpods-config"
DATA_SERIAL: Final = "trustedpods-data"
"""By these the guest finds them among its disks."""


@dataclass(frozen=True, slots=True)
class Forward:
    """A TCP port of the host's loopback that leads to one of the guest's, by qemu's user network."""

    host: int
    guest: int


@dataclass(frozen=True, slots=True)
class Answering:
    """A TCP port of the guest's network that only this machine has: each connection starts *program* anew.

    Its standard input and output are the connection.
    """

    address: IPv4Address
    port: int
    program: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attached:
    """The configuration disk, the data disk (raw files or devices), ports that lead in and out."""

    configuration: Path
    data: Path | None = None
    forwards: tuple[Forward, ...] = ()
    answering: tuple[Answering, ...] = ()


def attached_words(platform: Platform, attached: Attached) -> tuple[str, ...]:
    """More words behind those of `machine.qemu_words`.

    The network is qemu's own: the guest's card is 10.0.2.15/24, the host's loopback 10.0.2.2 for it.
    """
    bounce = "" if platform is Platform.EMULATION else ",iommu_platform=on"
    words = _disk("configuration", CONFIGURATION_SERIAL, attached.configuration, "on", bounce)
    if attached.data is not None:
        words += _disk("data", DATA_SERIAL, attached.data, "off", bounce)
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{one.host}-:{one.guest}" for one in attached.forwards)
    answers = "".join(map(_answering, attached.answering))
    words += ["-netdev", f"user,id=card{forwards}{answers}"]
    words += ["-device", f"virtio-net-pci,netdev=card,disable-legacy=on,romfile={bounce}"]
    return tuple(words)


def _answering(one: Answering) -> str:
    program = shlex.join(one.program).replace(",", ",,")
    return f",guestfwd=tcp:{one.address}:{one.port}-cmd:{program}"


def _disk(name: str, serial: str, path: Path, read_only: str, bounce: str) -> list[str]:
    file = str(path).replace(",", ",,")
    return [
        "-drive", f"id={name},if=none,format=raw,readonly={read_only},file={file}",
        "-device", f"virtio-blk-pci,drive={name},serial={serial},disable-legacy=on{bounce}",
    ]  # fmt: skip
