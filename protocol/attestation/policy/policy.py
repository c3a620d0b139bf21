# SPDX-License-Identifier: Apache-2.0
"""What a publisher accepts as a whole; a file of it is read by `policy_file`."""

from dataclasses import dataclass, field, replace
from typing import Final, Self

from trustedpods.protocol import limits
from trustedpods.protocol.attestation.policy.localnets import NamedLocalnet, in_market
from trustedpods.protocol.attestation.policy.signers import ImageSigner
from trustedpods.protocol.attestation.releases.model import ImageRelease
from trustedpods.protocol.attestation.simulated import SimulatedMarket
from trustedpods.protocol.attestation.snp.chain import Roots, amd_roots
from trustedpods.protocol.attestation.snp.policy import SnpEntry
from trustedpods.protocol.attestation.tdx.policy import TdxEntry
from trustedpods.protocol.messages.provider import TrustClass

BUILT_IN: Final = "built-in"
"""Label of the policy that holds where no file is named: a localnet's simulated machines, no others."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a publisher accepts; `Policy()` accepts nothing.

    `snp`, `tdx`: machines, any one of which must match completely. `simulated`: the localnet whose
    simulated evidence counts; in a policy from a file it is filled in by `in_market`, for the
    `localnets` that the file names. `allow_sealed`, `allow_open`: the classes
    that are good enough; `require_hardware`: class open must have evidence too. `config_digests`: of the
    configurations that a daemon may run with, as the machine attests them; None: any. `label` names the
    policy for people and logs. `image_signers`: one of those for an image must have signed it; without any
    no image needs a signature. `release` is the release file that gives images their names, and
    values where the policy takes them from it. The roots are the vendors' everywhere but in tests.
    """

    snp: tuple[SnpEntry, ...] = ()
    tdx: tuple[TdxEntry, ...] = ()
    simulated: SimulatedMarket | None = None
    localnets: tuple[NamedLocalnet, ...] = ()
    config_digests: frozenset[bytes] | None = None
    allow_sealed: bool = True
    allow_open: bool = False
    require_hardware: bool = False
    max_evidence: int = limits.MAX_EVIDENCE
    label: str = BUILT_IN
    image_signers: tuple[ImageSigner, ...] = ()
    release: ImageRelease | None = field(default=None, repr=False)
    vendor_roots: Roots = field(default_factory=amd_roots, repr=False)
    intel_root: bytes | None = field(default=None, repr=False)

    def in_market(self, market: SimulatedMarket | None) -> Self:
        """This policy for one market: its simulated evidence counts if the policy names the market.

        *market* is what the market's file says of its simulated root; None in a real market.
        """
        if market is None:
            return self
        return replace(self, simulated=in_market(self.localnets, market))

    def accepts(self, trust: TrustClass) -> bool:
        """A provider of this class can be good enough at all."""
        return self.allow_open if trust == "open" else self.allow_sealed
