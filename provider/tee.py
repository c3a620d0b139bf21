# SPDX-License-Identifier: Apache-2.0
"""Where evidence comes from: a localnet's simulated chip, or nothing (class open).

Each collector makes evidence over 64 bytes of report_data. Real hardware (the kernel's configfs-tsm)
will be one more of them.
"""

from pathlib import Path
from typing import Final, Protocol

from trustedpods.protocol.attestation.simulated import SimulatedSigner
from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.protocol.messages import Evidence, TrustClass

_SIMULATED: Final = "simulated:"
_TSM_REPORTS: Final = Path("/sys/kernel/config/tsm/report")


class Collector(Protocol):
    """Makes evidence; it may block for as long as the hardware takes."""

    simulated: bool
    """Evidence only counts in a localnet."""

    def collect(self, report_data: bytes) -> Evidence:
        """Evidence that binds these 64 bytes."""
        ...


class SimulatedTee:
    """The simulated chip of a localnet, from the PEM file that it was written to.

    BadInput when the file cannot be read or holds something else.
    """

    simulated = True

    def __init__(self, path: Path) -> None:
        try:
            self._signer = SimulatedSigner(path.read_text("ascii"))
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"cannot read the simulated machine: {error}", where=str(path)) from error
        except BadInput as error:
            raise BadInput(error.what, where=str(path)) from error

    def collect(self, report_data: bytes) -> Evidence:
        """A simulated report over *report_data*."""
        return self._signer.sign(report_data)


class NoTee:
    """No hardware: the provider can only be of class open, and says so."""

    simulated = False

    def collect(self, report_data: bytes) -> Evidence:
        """Evidence of kind `none`; *report_data* is vouched for by nobody."""
        del report_data
        return Evidence(kind="none")


def from_setting(setting: str, trust: TrustClass) -> Collector:
    """The collector that the configuration names: `simulated:/path/tee.pem` or `none`.

    BadInput for other words, NoContext where class sealed is asked for without a TEE.
    """
    if setting == "none":
        if trust == "sealed":
            raise NoContext(
                f"a sealed provider needs a TEE, and there is none: {_why_none()}",
                where="identity.tee",
                hint='set identity.trust = "open", which tells publishers that you can read their pods',
            )
        return NoTee()
    if setting.startswith(_SIMULATED):
        return SimulatedTee(Path(setting.removeprefix(_SIMULATED)))
    raise BadInput(
        f"unknown TEE {setting!r}", where="identity.tee", hint="simulated:/path/tee.pem or none are supported"
    )


def _why_none() -> str:
    """What an operator would look for first."""
    if _TSM_REPORTS.is_dir():
        return f"the kernel has one ({_TSM_REPORTS}), but this version cannot collect from it yet"
    return f"the kernel offers none ({_TSM_REPORTS} does not exist)"
