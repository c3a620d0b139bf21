# SPDX-License-Identifier: Apache-2.0
"""From the configuration's words to a collector; a TEE that is not there is never claimed."""

import re
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.provider.tee.collector import Collector, NoTee, SimulatedTee
from trustedpods.provider.tee.hardware import HardwareTee
from trustedpods.provider.tee.simulated_processor import SimulatedProcessor
from trustedpods.provider.tee.tsm import REPORTS, ConfigfsTsm

_SIMULATED: Final = "simulated:"
_OUTSIDE: Final = re.compile(r"simulated:([0-9.]{7,15}):([0-9]{1,5})")
_PORTS: Final = 1 << 16


def from_setting(
    setting: str, trust: TrustClass, files: str | None = None, *, reports: Path = REPORTS
) -> Collector:
    """The collector that the configuration names: `hardware`, `none`, or a localnet's `simulated:`.

    That is `simulated:/path/tee.pem`, or `simulated:ADDRESS:PORT` where the signer is outside. *files* is
    `identity.tee_files`. BadInput for other words, NoContext where the TEE that is asked for, or that class
    sealed needs, is not there.
    """
    if setting == "none":
        if trust == "sealed":
            raise NoContext(
                f"a sealed provider needs a TEE, and there is none: {_why_none(reports)}",
                where="identity.tee",
                hint='set identity.trust = "open", which tells publishers that you can read their pods',
            )
        return NoTee()
    if setting == "hardware":
        return HardwareTee(ConfigfsTsm(reports), Path(files) if files else None)
    if setting.startswith(_SIMULATED):
        place = setting.removeprefix(_SIMULATED)
        if place.startswith("/"):
            return SimulatedTee(Path(place))
        if (outside := signer_outside(setting)) is not None:
            address, port = outside
            return SimulatedProcessor(str(address), port)
    raise BadInput(
        f"unknown TEE {setting!r}",
        where="identity.tee",
        hint="hardware, none, simulated:/path/tee.pem and simulated:ADDRESS:PORT are supported",
    )


def signer_outside(setting: str) -> tuple[IPv4Address, int] | None:
    """Address and port of `simulated:ADDRESS:PORT`; None for other words, also for no address or port."""
    found = _OUTSIDE.fullmatch(setting)
    if found is None or not 0 < int(found[2]) < _PORTS:
        return None
    try:
        return IPv4Address(found[1]), int(found[2])
    except ValueError:
        return None


def _why_none(reports: Path) -> str:
    """What an operator would look for first."""
    if reports.is_dir():
        return f'identity.tee is "none", though the kernel may have one ({reports}): try "hardware"'
    return f"the kernel offers none ({reports} does not exist)"
