# SPDX-License-Identifier: Apache-2.0
"""Simulated SEV-SNP for one localnet: real reports and certificates, under a root made for it.

The names in its certificates carry a digest of the localnet's chain id and contracts. A client
accepts such evidence only for the market that it is in, and says SIMULATED wherever it shows; no
client of another market has this root. Everything else goes through the same verifier as AMD's.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from trustedpods.protocol.attestation import simulated_pki
from trustedpods.protocol.attestation.checks import Check, need
from trustedpods.protocol.attestation.snp import chain as snp_chain
from trustedpods.protocol.attestation.snp.report import (
    ECDSA_P384_SHA384,
    GuestPolicy,
    PlatformInfo,
    SnpReport,
)
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.evidence import Evidence
from trustedpods.protocol.ids import Address, address_bytes

PRODUCT: Final = "Milan"
"""The processor that simulated reports say they come from."""

MEASUREMENT: Final = hashlib.sha384(b"trusted-pods/simulated-guest/v1").digest()
"""Launch digest of the guest that a simulated machine says it runs where nobody measured one."""

_MARKET_TAG: Final = b"trusted-pods/simulated-market/v1\0"
_ISSUER_NAME: Final = re.compile(r"SEV-SIMULATED-([0-9a-f]{40})")
_CPUID_MILAN: Final = bytes([0x19, 0x01, 0x01])


def market_digest(chain_id: int, registry: Address, payments: Address) -> str:
    """40 hex digits that stand for one market in the names of its certificates."""
    encoded = chain_id.to_bytes(32, "big") + address_bytes(registry) + address_bytes(payments)
    return hashlib.sha256(_MARKET_TAG + encoded).hexdigest()[:40]


def listed(measurements: Iterable[str]) -> frozenset[bytes]:
    """The launch digests (hexadecimal) that a market's file lists; without any, that of unmeasured guests."""
    return frozenset(map(bytes.fromhex, measurements)) or frozenset({MEASUREMENT})


def issuer_digest(vek: x509.Certificate) -> str | None:
    """The market that a simulated certificate says it is for; None for any other certificate."""
    match = _ISSUER_NAME.fullmatch(snp_chain.issuer_name(vek))
    return match[1] if match else None


@dataclass(frozen=True, slots=True)
class SimulatedMarket:
    """The one market whose simulated evidence a client accepts, and its root.

    `chain_pem` is what `SimulatedRoot.make` returned; BadInput when it is no chain. `measurements` are the
    launch digests that count: a localnet that boots a machine image has that image's.
    """

    chain_pem: str
    chain_id: int
    registry: Address
    payments: Address
    measurements: frozenset[bytes] = frozenset({MEASUREMENT})
    roots: snp_chain.Roots = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the chain once."""
        pinned = snp_chain.ProductRoots.from_pem(self.chain_pem.encode(), "simulated.root")
        object.__setattr__(self, "roots", {PRODUCT: pinned})

    def check(self, digest: str) -> None:
        """Evidence and root are both for this market, or EvidenceRefused ("foreign-localnet")."""
        expected = market_digest(self.chain_id, self.registry, self.payments)
        root = snp_chain.common_name(self.roots[PRODUCT].ark.subject)
        need(
            digest == expected,
            Check.FOREIGN_LOCALNET,
            f"the simulated evidence is of market {digest[:12]}, this one is {expected[:12]}",
        )
        need(
            root == simulated_pki.ark_name(expected),
            Check.FOREIGN_LOCALNET,
            f"the simulated root {root!r} was not made for market {expected[:12]}",
        )


class SimulatedRoot(NamedTuple):
    """What a localnet keeps of its simulated vendor: the issuing keys are gone once it is made.

    `chain_pem` (public) goes to publishers; `machine_pem` (secret) is the simulated chip: its
    key and certificate, for `SimulatedSigner`.
    """

    chain_pem: str
    machine_pem: str

    @classmethod
    def make(cls, chain_id: int, registry: Address, payments: Address, now: datetime) -> Self:
        """A new root, issuer and chip for one market, good for ten years from *now* (with zone)."""
        return cls(*simulated_pki.make(market_digest(chain_id, registry, payments), now))


class SimulatedSigner:
    """A simulated chip: makes genuine-looking reports over any report_data."""

    def __init__(self, machine_pem: str, measurement: bytes = MEASUREMENT) -> None:
        """Read what `SimulatedRoot.make` returned; BadInput when it is something else.

        *measurement* is the launch digest that its reports name (48 bytes).
        """
        try:
            key = serialization.load_pem_private_key(machine_pem.encode(), password=None)
            self._vek = x509.load_pem_x509_certificate(machine_pem.encode())
            chip_id = self._vek.extensions.get_extension_for_oid(simulated_pki.CHIP_ID_OID).value
            same = key.public_key() == self._vek.public_key()
        except (*snp_chain.UNREADABLE, AttributeError) as error:
            raise BadInput(f"not a simulated machine: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not same:
            raise BadInput("not a simulated machine: its key is not the one in its certificate")
        assert isinstance(chip_id, x509.UnrecognizedExtension)  # no library knows AMD's extensions
        self._key, self._chip_id, self._measurement = key, chip_id.value, measurement

    def sign(self, report_data: bytes) -> Evidence:
        """Evidence over 64 bytes, as hardware would make it."""
        signed = self._report(report_data).pack()
        r, s = utils.decode_dss_signature(self._key.sign(signed, ec.ECDSA(hashes.SHA384())))
        signature = r.to_bytes(72, "little") + s.to_bytes(72, "little")
        certificate = self._vek.public_bytes(serialization.Encoding.DER)
        return Evidence(
            kind="sev-snp", report=signed + signature.ljust(512, b"\0"), certificates=[certificate]
        )

    def _report(self, report_data: bytes) -> SnpReport:
        tcb = simulated_pki.TCB
        return SnpReport(
            version=3,
            guest_svn=0,
            policy=GuestPolicy.SMT | GuestPolicy.ALWAYS_ONE,
            family_id=bytes(16),
            image_id=bytes(16),
            vmpl=0,
            signature_algorithm=ECDSA_P384_SHA384,
            current_tcb=tcb,
            platform_info=PlatformInfo.SMT | PlatformInfo.ALIAS_CHECK_COMPLETE,
            key_info=0,
            reserved_1=bytes(4),
            report_data=report_data,
            measurement=self._measurement,
            host_data=bytes(32),
            id_key_digest=bytes(48),
            author_key_digest=bytes(48),
            report_id=bytes(32),
            report_id_ma=bytes(32),
            reported_tcb=tcb,
            cpuid=_CPUID_MILAN,
            reserved_2=bytes(21),
            chip_id=self._chip_id,
            committed_tcb=tcb,
            current_version=bytes(4),
            committed_version=bytes(4),
            launch_tcb=tcb,
            launch_mitigations=bytes(8),
            current_mitigations=bytes(8),
            reserved_3=bytes(152),
        )
