# SPDX-License-Identifier: Apache-2.0
"""Which genuine SEV-SNP machines are good enough. Everything is explicit; an empty list is an error.

A genuine report only proves *some* confidential guest: its host chooses what it launched and what
it binds. Only a measurement of an image that is known to keep its keys makes the binding mean
anything, so there is no "any measurement".
"""

from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from trustedpods.protocol.attestation.checks import Check, first_match, need
from trustedpods.protocol.attestation.simulated import MEASUREMENT, PRODUCT
from trustedpods.protocol.attestation.snp.report import GuestPolicy, PlatformInfo, Tcb
from trustedpods.protocol.attestation.snp.verifier import VerifiedSnp
from trustedpods.protocol.errors import BadInput

Revocation = Literal["require", "if-present"]

MEASUREMENT_BYTES: Final = 48
HOST_DATA_BYTES: Final = 32
CHIP_ID_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class SnpEntry:
    """One kind of SEV-SNP machine that is accepted; all of it must match.

    `measurements` are launch digests, one per image and VM shape. `host_data` and
    `allowed_chip_ids` are None where any value will do. `image` says whose digests they are,
    where a release file says it. BadInput when a list is empty or a value has the wrong length.
    """

    product: str
    measurements: frozenset[bytes]
    minimum: Tcb
    vmpl: frozenset[int] = frozenset({0})
    allow_smt: bool = True
    require_single_socket: bool = False
    allow_vlek: bool = False
    min_guest_svn: int = 0
    platform_require: PlatformInfo = PlatformInfo.ALIAS_CHECK_COMPLETE
    revocation: Revocation = "require"
    host_data: frozenset[bytes] | None = None
    allowed_chip_ids: frozenset[bytes] | None = None
    image: str = ""

    def __post_init__(self) -> None:
        """Refuse what would silently accept nothing, or anything."""
        for name in ("measurements", "vmpl", "host_data", "allowed_chip_ids"):
            if getattr(self, name) is not None and not getattr(self, name):
                raise BadInput(f"the policy for {self.product} has an empty list", where=name)
        lengths = (
            ("measurements", MEASUREMENT_BYTES),
            ("host_data", HOST_DATA_BYTES),
            ("allowed_chip_ids", CHIP_ID_BYTES),
        )
        for name, length in lengths:
            if any(len(value) != length for value in getattr(self, name) or ()):
                raise BadInput(f"the policy for {self.product} has a value of wrong length", where=name)


SIMULATED_ENTRY: Final = SnpEntry(
    product=PRODUCT,
    measurements=frozenset({MEASUREMENT}),
    minimum=Tcb(),
    revocation="if-present",
)
"""What a localnet's simulated machines look like; they pass the same checks as real ones.

Which measurements count there, its market says."""


def appraise(verified: VerifiedSnp, entries: tuple[SnpEntry, ...]) -> SnpEntry:
    """The entry that *verified* matches; EvidenceRefused by the first entry's failed check.

    Of images from a release file the one with its launch digest comes first: its refusal says most.
    """

    def other_image(entry: SnpEntry) -> bool:
        return bool(entry.image) and verified.report.measurement not in entry.measurements

    candidates = sorted((entry for entry in entries if entry.product == verified.product), key=other_image)
    nobody = f"the policy has no entry for {verified.product} processors"
    return first_match(candidates, partial(_match, verified), nobody)


def _match(verified: VerifiedSnp, entry: SnpEntry) -> None:
    _match_launch(verified, entry)
    _match_guest(verified, entry)
    _match_machine(verified, entry)


def _match_launch(verified: VerifiedSnp, entry: SnpEntry) -> None:
    """How the host may touch the guest, and at which privilege the report was made."""
    report = verified.report
    need(not report.policy & GuestPolicy.DEBUG, Check.DEBUG, "the host may debug the guest")
    need(
        not report.policy & GuestPolicy.MIGRATE_MA,
        Check.MIGRATION,
        "a migration agent may copy the guest to another machine",
    )
    need(entry.allow_smt or not report.policy & GuestPolicy.SMT, Check.SMT, "the guest allows hyperthreads")
    single = report.policy & GuestPolicy.SINGLE_SOCKET or not entry.require_single_socket
    need(single, Check.SINGLE_SOCKET, "the guest is not bound to one socket")
    need(report.vmpl in entry.vmpl, Check.VMPL, f"the report was made at privilege level {report.vmpl}")
    need(entry.allow_vlek or not verified.vlek, Check.VLEK, "a cloud's key signed, not the chip's own")


def _match_guest(verified: VerifiedSnp, entry: SnpEntry) -> None:
    """What was launched."""
    report = verified.report
    need(
        report.measurement in entry.measurements,
        Check.MEASUREMENT,
        f"the launched guest {report.measurement.hex()[:16]}... is not one that the policy lists",
    )
    need(
        entry.host_data is None or report.host_data in entry.host_data,
        Check.HOST_DATA,
        "the guest's launch configuration is not one that the policy lists",
    )
    need(
        report.guest_svn >= entry.min_guest_svn,
        Check.GUEST_SVN,
        f"the guest's security version is {report.guest_svn}, less than {entry.min_guest_svn}",
    )


def _match_machine(verified: VerifiedSnp, entry: SnpEntry) -> None:
    """On what it was launched."""
    report = verified.report
    for name in ("reported", "committed", "launch"):
        tcb: Tcb = getattr(verified, name)
        need(
            tcb.reaches(entry.minimum),
            Check.TCB_MINIMUM,
            f"the {name} firmware {tcb} is older than {entry.minimum}",
        )
    missing = entry.platform_require & ~PlatformInfo(report.platform_info)
    need(not missing, Check.PLATFORM_INFO, f"the platform lacks {missing!r}")
    need(
        entry.revocation == "if-present" or verified.revocation_checked,
        Check.REVOCATION,
        "the policy demands the vendor's revocation list, and the evidence has none",
    )
    need(
        entry.allowed_chip_ids is None or report.chip_id in entry.allowed_chip_ids,
        Check.ALLOWED_CHIP,
        f"the chip {report.chip_id.hex()[:16]}... is not one that the policy lists",
    )
