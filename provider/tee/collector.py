# SPDX-License-Identifier: Apache-2.0
"""What makes evidence, and the kinds that need no hardware."""

from pathlib import Path
from typing import Protocol

from trustedpods.protocol.attestation.simulated import SimulatedSigner
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.evidence import Evidence


class Collector(Protocol):
    """Makes evidence; it may block for as long as the hardware takes."""

    simulated: bool
    """Evidence only counts in a localnet."""

    @property
    def kind(self) -> str:
        """`sev-snp`, `tdx` or `none`, as in the registry row."""
        ...

    def collect(self, report_data: bytes) -> Evidence:
        """Evidence that binds these 64 bytes."""
        ...


class SimulatedTee:
    """The simulated chip of a localnet, from the PEM file that it was written to.

    BadInput when the file cannot be read or holds something else.
    """

    simulated = True
    kind = "sev-snp"

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
    kind = "none"

    def collect(self, report_data: bytes) -> Evidence:
        """Evidence of kind `none`; *report_data* is vouched for by nobody."""
        del report_data
        return Evidence(kind="none")
