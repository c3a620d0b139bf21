# SPDX-License-Identifier: Apache-2.0
"""The checks that evidence must pass, each with the stable name that a refusal shows."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TypeVar

from trustedpods.protocol.errors import EvidenceRefused

Entry = TypeVar("Entry")


class Check(StrEnum):
    """Every check, in the order in which they run; the name is the `rule` of EvidenceRefused."""

    TRUST = "trust"
    """The class of the provider (sealed or open) is one that the policy allows."""
    PEER_ID = "peer-id"
    """The attested libp2p identity is the one at the other end of this connection."""
    NONCE = "nonce"
    """The answer is to this question, not a replay of an old one."""
    HPKE_SUITE = "hpke-suite"
    """The sealing suite is the one spoken here."""
    HPKE_KEY = "hpke-key"
    """The sealing key is well-formed."""
    PROFILE_SIGNATURE = "profile-signature"
    """The profile is signed by the attested reply key, for this nonce."""
    SIZE = "size"
    """The evidence is within its bound."""
    PLATFORM = "unsupported-platform"
    """The kind of hardware is one that can be verified here."""
    REPORT = "report"
    """Report or quote has exactly the length, the version and the reserved zeros of its format."""
    SIGNING_KEY = "signing-key"
    """The report was signed by a chip's (VCEK) or a cloud's (VLEK) key, with ECDSA P-384."""
    CERTIFICATES = "certificates"
    """SNP: exactly one certificate, that of the signing key, in DER. TDX: none, the quote has them."""
    COLLATERAL = "collateral"
    """Intel's statements about the platform are there, readable, genuine, and about this platform."""
    SIMULATED = "simulated"
    """Simulated evidence only counts in a localnet."""
    FOREIGN_LOCALNET = "foreign-localnet"
    """Simulated evidence only counts in the localnet that its root was made for."""
    PRODUCT = "product"
    """The processor is one whose root is pinned."""
    CHAIN = "chain"
    """The signing key's certificate was issued under the pinned root."""
    VALIDITY = "validity"
    """All certificates, and all of the vendor's statements, are valid now."""
    REVOCATION = "revocation"
    """A revocation list is there where the policy demands one, genuine and current."""
    REVOKED = "revoked"
    """No certificate of the chain is revoked."""
    SIGNATURE = "signature"
    """The report is signed by the certified key."""
    QUOTING_ENCLAVE = "quoting-enclave"
    """The enclave that signed the quote is Intel's, and new enough."""
    TDX_MODULE = "tdx-module"
    """The TDX module is Intel's, known, and new enough."""
    QUOTE = "quote"
    """The quote passes everything else that Intel asks of a verifier."""
    EVENT_LOG = "event-log"
    """The event log replays to the registers of the quote."""
    TCB_CERTIFICATE = "tcb-certificate"
    """The key was certified for the firmware versions that the report states."""
    CHIP_ID = "chip-id"
    """The key was certified for the chip that the report names."""
    REPORT_DATA = "report-data"
    """The report binds this nonce, class and these keys."""
    POLICY = "policy"
    """The policy has an entry for this processor."""
    DEBUG = "debug"
    """The host cannot debug the guest."""
    MIGRATION = "migration-agent"
    """Nobody may copy the running guest to another machine."""
    SMT = "smt"
    """Hyperthreads are off where the policy demands it."""
    SINGLE_SOCKET = "single-socket"
    """The guest is bound to one socket where the policy demands it."""
    VMPL = "vmpl"
    """The report was made at a privilege level that the policy lists."""
    VLEK = "vlek"
    """A cloud's signing key is used only where the policy allows it."""
    TD_ATTRIBUTES = "td-attributes"
    """The trust domain's attributes are exactly those of the policy."""
    XFAM = "xfam"
    """The processor features that the trust domain may use are ones that the policy lists."""
    MEASUREMENT = "measurement"
    """The guest that was launched (launch digest, MRTD) is one that the policy lists."""
    WITHDRAWN = "withdrawn"
    """The image that runs was not withdrawn by those who published it."""
    RTMR = "rtmr"
    """What the guest loaded (firmware configuration, kernel, command line) is what the policy says."""
    EVENTS = "events"
    """The events behind RTMR3 are those of the policy, once each, in its order."""
    MR_SEAM = "mr-seam"
    """The TDX module is one that the policy lists."""
    TCB_STATUS = "tcb-status"
    """Intel's word on the platform's firmware is one that the policy lists."""
    TCB_EVALUATION = "tcb-evaluation"
    """Intel's statements are of the evaluation that the policy demands, or a later one."""
    ADVISORY = "advisory"
    """No security advisory that the policy names applies to the platform."""
    TCB_MINIMUM = "tcb-minimum"
    """Firmware versions (SNP: reported, committed and launch) reach the policy's minimum."""
    GUEST_SVN = "guest-svn"
    """The guest's security version reaches the policy's minimum."""
    PLATFORM_INFO = "platform-info"
    """The platform has the protections that the policy demands."""
    HOST_DATA = "host-data"
    """The launch configuration is one that the policy lists."""
    ALLOWED_CHIP = "allowed-chip"
    """The machine is one that the policy lists."""
    CONFIG_DIGEST = "config-digest"
    """The configuration that the machine's daemon runs with is one that the policy lists."""


def need(condition: object, check: Check, what: str) -> None:
    """EvidenceRefused by *check*, saying *what*, unless *condition* holds."""
    if not condition:
        raise refusal(check, what)


def first_match(entries: Iterable[Entry], match: Callable[[Entry], None], nobody: str) -> Entry:
    """The first of the policy's *entries* that *match* does not refuse.

    EvidenceRefused by the first entry's failed check, or saying *nobody* when there is no entry.
    """
    first: EvidenceRefused | None = None
    for entry in entries:
        try:
            match(entry)
        except EvidenceRefused as error:
            first = first or error
        else:
            return entry
    raise first or refusal(Check.POLICY, nobody)


def refusal(check: Check, what: str) -> EvidenceRefused:
    """The error that says which check failed, and how."""
    return EvidenceRefused(what, rule=check.value)
