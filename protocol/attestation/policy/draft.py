# SPDX-License-Identifier: Apache-2.0
"""A policy that accepts one machine as it is now, for a human to confirm line by line.

Evidence says what a machine is, not whether that is good: a draft is a form that is filled in, not
a recommendation.
"""

from datetime import datetime
from typing import Final

from trustedpods.protocol.attestation import simulated
from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.attestation.simulated import SimulatedMarket
from trustedpods.protocol.attestation.snp import chain as snp_chain
from trustedpods.protocol.attestation.snp import verifier as snp
from trustedpods.protocol.attestation.snp.report import GuestPolicy, PlatformInfo, SnpReport, Tcb
from trustedpods.protocol.attestation.tdx import verifier as tdx
from trustedpods.protocol.evidence import Attested
from trustedpods.protocol.limits import MAX_EVIDENCE

ATTRIBUTES: Final = ("ecc", "tsme", "rapl_disabled", "ciphertext_hiding", "alias_check_complete")

_CONFIRM: Final = """\
# DRAFT. It accepts the machine that answered at {time}, whatever that is.
# CONFIRM every value that says so: measurements come from whoever publishes the machine image, never
# from the machine. docs/attestation.md says what each field means.
"""


def draft(attested: Attested, now: datetime, market: SimulatedMarket | None, roots: Policy) -> str:
    """The text of a policy for genuine evidence; EvidenceRefused for any other.

    *market* is the localnet that is meant, if it is one; *roots* says whose roots count.
    """
    evidence = attested.evidence
    head = _CONFIRM.format(time=f"{now:%Y-%m-%d %H:%MZ}")
    if evidence.kind == "none":
        return _file(head, attested, "none", "# no hardware: its operator can read your pods\n")
    if evidence.kind == "tdx":
        found = tdx.verify(evidence.report, evidence.collateral, evidence.event_log, now, roots.intel_root)
        return _file(head, attested, "tdx", _tdx(found))
    vek = snp_chain.load_vek(b"".join(evidence.certificates[:1]))
    if simulated.issuer_digest(vek) is not None and market is not None:
        return _file(head, attested, "simulated", _simulated(market, evidence.report))
    verified = snp.verify(evidence.report, vek, roots.vendor_roots, now, evidence.collateral or None)
    return _file(head, attested, "sev-snp", _snp(verified))


def _file(head: str, attested: Attested, kind: str, tables: str) -> str:
    binding = attested.binding
    return (
        f'{head}version = 1\ntrust = ["{binding.trust}"]\naccept = ["{kind}"]\n'
        f"max_evidence_bytes = {MAX_EVIDENCE}\n"
        f'config_digests = ["{binding.config_digest.hex()}"]  # CONFIRM: or "any"\n\n{tables}'
    )


def _simulated(market: SimulatedMarket, report: bytes) -> str:
    measurement = SnpReport.parse(report).measurement.hex()
    return (
        "[[simulated]]            # SIMULATED: no hardware protects anything in this localnet\n"
        f'chain_id = {market.chain_id}\nregistry = "{market.registry}"\npayments = "{market.payments}"\n'
        f'measurements = ["{measurement}"]  # CONFIRM: or "market", what the market\'s file lists\n'
    )


def _lowest(*versions: Tcb) -> Tcb:
    columns = zip(*((v.bootloader, v.tee, v.snp, v.microcode, v.fmc) for v in versions), strict=True)
    return Tcb(*map(min, columns))


def _snp(verified: snp.VerifiedSnp) -> str:
    report = verified.report
    least = _lowest(verified.reported, verified.committed, verified.launch)
    tcb = f"bl = {least.bootloader}, tee = {least.tee}, snp = {least.snp}, ucode = {least.microcode}"
    tcb += f", fmc = {least.fmc}" if verified.product == "Turin" else ""
    smt = _bool(report.policy & GuestPolicy.SMT)
    single = _bool(report.policy & GuestPolicy.SINGLE_SOCKET)
    has = [name for name in ATTRIBUTES if report.platform_info & PlatformInfo[name.upper()]]
    required = "[" + ", ".join(f'"{name}"' for name in has) + "]" if has else '"none"'
    chip = report.chip_id.hex() if verified.product != "Turin" else report.chip_id[:8].hex()
    chips = f'["{chip}"]' if any(report.chip_id) else '"any"'
    return f"""\
[[snp]]
product = "{verified.product}"
measurements = ["{report.measurement.hex()}"]  # CONFIRM: the image's publisher names them
min_tcb = {{ {tcb} }}  # CONFIRM: AMD's newest
min_guest_svn = {report.guest_svn}
guest_policy = {{ debug = false, migrate_ma = false, smt = {smt}, single_socket = {single} }}
platform_require = {required}
vmpl = [{report.vmpl}]
host_data = ["{report.host_data.hex()}"]  # CONFIRM: or "any"
allow_vlek = {_bool(verified.vlek)}  # CONFIRM: true trusts the cloud that holds the key
allowed_chip_ids = {chips}  # CONFIRM: machines that you know; "any" leaves physical attacks open
revocation = "{"require" if verified.revocation_checked else "if-present"}"
"""


def _tdx(found: tdx.VerifiedTdx) -> str:
    registers = [f'"{value.hex()}"' for value in found.rtmr]
    names = [name for name, _ in found.events]
    events = '"none"'
    if names and len(set(names)) == len(names):
        registers[-1] = '"eventlog"'
        pairs = (f'"{_escaped(name)}" = ["{payload.hex()}"]' for name, payload in found.events)
        events = "{ " + ", ".join(pairs) + " }"
    least = bytes(map(min, zip(*found.tee_tcb_svns, strict=True)))
    advisories = (
        "none" if not found.advisories else f"none; these apply: {', '.join(sorted(found.advisories))}"
    )
    piids = f'["{found.piid.hex()}"]' if found.piid else '"any"'
    return f"""\
[[tdx]]
mrtd = ["{found.mrtd.hex()}"]  # CONFIRM: the image's publisher names them
rtmr = [{", ".join(registers)}]  # CONFIRM
event_log = {events}  # CONFIRM each
mr_seam = ["{found.mr_seam.hex()}"]  # CONFIRM: or "any", Intel's signature and minimum below count then
mr_config_id = ["{found.mr_config_id.hex()}"]  # CONFIRM: or "any"
td_attributes = "{found.td_attributes.hex()}"
xfam = ["{found.xfam.hex()}"]
min_tee_tcb_svn = "{least.hex()}"
tcb_status = ["{found.status}"]  # CONFIRM: anything but UpToDate has known holes
reject_advisories = "none"  # {advisories}
min_tcb_eval_data_number = {found.evaluation}
allowed_piids = {piids}  # CONFIRM: machines that you know; "any" leaves physical attacks open
"""


def _bool(flag: object) -> str:
    return "true" if flag else "false"


def _escaped(name: str) -> str:
    """A name from the log as the inside of a TOML string."""
    return "".join(
        c if c.isprintable() and c not in '"\\' and ord(c) < 0xD800 else f"\\U{ord(c):08x}" for c in name
    )
