# SPDX-License-Identifier: Apache-2.0
"""Which genuine TDX machines are good enough. Everything is explicit; an empty list is an error."""

from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, get_args

from trustedpods.protocol.attestation.checks import Check, first_match, need
from trustedpods.protocol.attestation.tdx.events import REGISTER_BYTES, RTMRS
from trustedpods.protocol.attestation.tdx.verifier import VerifiedTdx
from trustedpods.protocol.errors import BadInput

TcbStatus = Literal[
    "UpToDate",
    "SWHardeningNeeded",
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    "OutOfDate",
    "OutOfDateConfigurationNeeded",
    "TDRelaunchAdvised",
    "TDRelaunchAdvisedConfigurationNeeded",
]
"""Intel's words on a platform, but "Revoked", which nobody can accept."""

MRTD_BYTES: Final = 48
ATTRIBUTES_BYTES: Final = 8
SVN_BYTES: Final = 16
PIID_BYTES: Final = 16

_DEBUG_BITS: Final = 0xFF
"""The attributes under which a trust domain is no longer trusted (TUD)."""

_CET_BITS: Final = 0b11 << 11
"""Shadow stacks (CET_U, CET_S): some hosts have them, and they weaken nothing."""

EventRule = tuple[str, frozenset[bytes] | None]
"""Name of an event and the payloads that it may have; None where any will do."""


@dataclass(frozen=True, slots=True)
class TdxEntry:
    """One kind of TDX machine that is accepted; all of it must match.

    `rtmr` are the four registers; None for RTMR0 means that it is not relied on, None for RTMR3 that
    it is what `events` say, in this order. `image` says whose they are, where a release file says it.
    `td_attributes` must match exactly, `xfam` one of its list but for CET. `mr_seam`,
    `mr_config_id` and `allowed_piids` are None where any value will do. BadInput when a list is
    empty or a value has the wrong length.
    """

    mrtd: frozenset[bytes]
    rtmr: tuple[bytes | None, ...]
    td_attributes: bytes
    xfam: frozenset[bytes]
    min_tee_tcb_svn: bytes
    min_tcb_eval_data_number: int
    tcb_status: frozenset[TcbStatus] = frozenset({"UpToDate"})
    events: tuple[EventRule, ...] = ()
    reject_advisories: frozenset[str] = frozenset()
    mr_seam: frozenset[bytes] | None = None
    mr_config_id: frozenset[bytes] | None = None
    allowed_piids: frozenset[bytes] | None = None
    image: str = ""

    def __post_init__(self) -> None:
        """Refuse what would silently accept nothing, or anything."""
        for name in ("mrtd", "xfam", "tcb_status", "mr_seam", "mr_config_id", "allowed_piids"):
            if getattr(self, name) is not None and not getattr(self, name):
                raise BadInput("the policy for TDX has an empty list", where=name)
        for name, length in _LENGTHS:
            value = getattr(self, name)
            values = [value] if isinstance(value, bytes) else value or ()
            if any(len(one) != length for one in values):
                raise BadInput("the policy for TDX has a value of wrong length", where=name)
        if not self.tcb_status <= set(get_args(TcbStatus)):
            raise BadInput("the policy for TDX has an unknown status", where="tcb_status")
        self._check_registers()
        if int.from_bytes(self.td_attributes, "little") & _DEBUG_BITS:
            raise BadInput("the policy for TDX accepts a debugged trust domain", where="td_attributes")

    def _check_registers(self) -> None:
        lengths = {REGISTER_BYTES if value is None else len(value) for value in self.rtmr}
        if len(self.rtmr) != RTMRS or lengths != {REGISTER_BYTES}:
            raise BadInput(f"there are {RTMRS} registers of {REGISTER_BYTES} bytes", where="rtmr")
        if None in self.rtmr[1 if self.image else 0 : -1]:
            raise BadInput(
                "only RTMR3 can be left to the event log, and RTMR0 only of an image from a release file",
                where="rtmr",
            )
        if (self.rtmr[-1] is None) != bool(self.events):
            raise BadInput("events belong to an RTMR3 that is left to the event log", where="event_log")
        if any(payloads is not None and not payloads for _, payloads in self.events):
            raise BadInput("the policy for TDX has an empty list", where="event_log")


_LENGTHS: Final = (
    ("mrtd", MRTD_BYTES),
    ("td_attributes", ATTRIBUTES_BYTES),
    ("xfam", ATTRIBUTES_BYTES),
    ("min_tee_tcb_svn", SVN_BYTES),
    ("mr_seam", MRTD_BYTES),
    ("mr_config_id", MRTD_BYTES),
    ("allowed_piids", PIID_BYTES),
)


def appraise(verified: VerifiedTdx, entries: tuple[TdxEntry, ...]) -> TdxEntry:
    """The entry that *verified* matches; EvidenceRefused by the first entry's failed check.

    Of images from a release file the one with its MRTD and RTMR1 comes first: its refusal says most.
    """

    def other_image(entry: TdxEntry) -> bool:
        runs = verified.mrtd in entry.mrtd and verified.rtmr[1] == entry.rtmr[1]
        return bool(entry.image) and not runs

    candidates = sorted(entries, key=other_image)
    return first_match(candidates, partial(_match, verified), "the policy has no entry for TDX machines")


def _match(verified: VerifiedTdx, entry: TdxEntry) -> None:
    _match_guest(verified, entry)
    _match_runtime(verified, entry)
    _match_machine(verified, entry)


def _match_guest(verified: VerifiedTdx, entry: TdxEntry) -> None:
    """What was launched, and how the host may touch it."""
    need(
        verified.td_attributes == entry.td_attributes,
        Check.TD_ATTRIBUTES,
        f"the attributes {verified.td_attributes.hex()} are not {entry.td_attributes.hex()}",
    )
    need(
        _without_cet(verified.xfam) in map(_without_cet, entry.xfam),
        Check.XFAM,
        f"the processor features {verified.xfam.hex()} are not ones that the policy lists",
    )
    need(
        verified.mrtd in entry.mrtd,
        Check.MEASUREMENT,
        f"the launched guest {verified.mrtd.hex()[:16]}... is not one that the policy lists",
    )
    need(
        entry.mr_config_id is None or verified.mr_config_id in entry.mr_config_id,
        Check.HOST_DATA,
        "the guest's launch configuration is not one that the policy lists",
    )


def _match_runtime(verified: VerifiedTdx, entry: TdxEntry) -> None:
    """What the guest loaded since."""
    for number, (found, expected) in enumerate(zip(verified.rtmr, entry.rtmr, strict=True)):
        need(
            expected is None or found == expected,
            Check.RTMR,
            f"RTMR{number} is {found.hex()[:16]}..., not what the policy says",
        )
    if entry.rtmr[-1] is not None:
        return
    names = [name for name, _ in verified.events]
    expected_names = [name for name, _ in entry.events]
    need(
        names == expected_names,
        Check.EVENTS,
        f"the events behind RTMR3 are {_listed(names)}, not {_listed(expected_names)}",
    )
    for (name, payload), (_, payloads) in zip(verified.events, entry.events, strict=True):
        need(
            payloads is None or payload in payloads,
            Check.EVENTS,
            f"the event {name} says {payload.hex()[:16]}..., which the policy does not list",
        )


def _match_machine(verified: VerifiedTdx, entry: TdxEntry) -> None:
    """On what it was launched, and what Intel says of it."""
    need(
        entry.mr_seam is None or verified.mr_seam in entry.mr_seam,
        Check.MR_SEAM,
        f"the TDX module {verified.mr_seam.hex()[:16]}... is not one that the policy lists",
    )
    need(
        verified.status in entry.tcb_status,
        Check.TCB_STATUS,
        f"Intel says of the platform's firmware: {verified.status}",
    )
    need(
        verified.evaluation >= entry.min_tcb_eval_data_number,
        Check.TCB_EVALUATION,
        f"Intel's statements are of evaluation {verified.evaluation},"
        f" older than {entry.min_tcb_eval_data_number}",
    )
    advisories = verified.advisories & entry.reject_advisories
    need(not advisories, Check.ADVISORY, f"the platform is affected by {', '.join(sorted(advisories))}")
    for svn in verified.tee_tcb_svns:
        need(
            all(found >= least for found, least in zip(svn, entry.min_tee_tcb_svn, strict=True)),
            Check.TCB_MINIMUM,
            f"the TDX firmware {svn.hex()} is older than {entry.min_tee_tcb_svn.hex()}",
        )
    need(
        entry.allowed_piids is None or verified.piid in entry.allowed_piids,
        Check.ALLOWED_CHIP,
        f"the platform {verified.piid.hex() or 'without a name'} is not one that the policy lists",
    )


def _without_cet(xfam: bytes) -> int:
    return int.from_bytes(xfam, "little") & ~_CET_BITS


def _listed(names: list[str]) -> str:
    shown = ", ".join(name[:32] for name in names[:12])
    return f"[{shown}{', ...' if len(names) > 12 else ''}]"
