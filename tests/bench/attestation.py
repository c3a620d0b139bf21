# SPDX-License-Identifier: Apache-2.0
"""What it costs to judge evidence: everything from the answer of a provider to the verdict.

    python -m tests.bench.attestation [rounds]

Prints milliseconds for SEV-SNP and TDX, genuine and refused: of CPU (the goal of 5 ms is about its
median, which means something on a busy machine too), and on the clock. The evidence is of synthetic
vendors, as large and as signed as real one; real reports and quotes are verified beside it.
"""

import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from tests.protocol.attestation.evidence import IN_2025, NONCE, PEER_ID, certificate, read
from tests.protocol.attestation.pki import NOW, Pki, der
from tests.protocol.attestation.tdx.tdx_pki import ENTRY, Body, Intel
from tests.protocol.attestation.test_saved import DATA, answer, snp, tdx
from trustedpods.protocol.attestation.policy.draft import draft
from trustedpods.protocol.attestation.policy.file import parse_policy
from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.attestation.snp import chain as snp_chain
from trustedpods.protocol.attestation.snp import verifier as snp_verifier
from trustedpods.protocol.attestation.tdx import verifier as tdx_verifier
from trustedpods.protocol.attestation.verdict import verify_evidence
from trustedpods.protocol.errors import EvidenceRefused
from trustedpods.protocol.evidence import Attested, Evidence

GOAL_MS = 5.0
VECTOR = "tdx-v4-phala-uptodate"


def cases() -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    from dataclasses import replace

    from tests.protocol.attestation.test_saved import INTEL

    pki = Pki()
    amd = Policy(vendor_roots=pki.roots)
    good_snp, good_tdx = snp(pki, crl=pki.crl()), tdx(Body(report_data=DATA))
    by_amd = replace(parse_policy(draft(good_snp, NOW, None, amd), "bench"), vendor_roots=pki.roots)
    by_intel = Policy(tdx=(ENTRY,), intel_root=INTEL.root_der)
    stranger = answer(Evidence(kind="tdx", report=Intel().quote(), collateral=INTEL.collateral()))

    def judge(attested: Attested, policy: Policy) -> Callable[[], object]:
        def work() -> None:
            verify_evidence(attested, nonce=NONCE, peer_id=PEER_ID, now=NOW, policy=policy)

        return work

    def refused(work: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            try:
                work()
            except EvidenceRefused:
                return
            raise AssertionError("accepted")

        return run

    report, vek = (
        read("snp-milan-virtee", "report_milan.hex"),
        der(certificate("snp-milan-virtee", "vcek_milan.der")),
    )
    quote, collateral = read(VECTOR, "tdx_quote"), read(VECTOR, "tdx_quote_collateral.json")
    then = datetime.fromtimestamp(1751624163, UTC)
    roots = snp_chain.amd_roots()
    return {
        "SEV-SNP, answer to verdict": judge(good_snp, by_amd),
        "SEV-SNP, refused by its policy": refused(judge(good_snp, Policy(vendor_roots=pki.roots))),
        "SEV-SNP, a real Milan's report": lambda: snp_verifier.verify(
            report, snp_chain.load_vek(vek), roots, IN_2025
        ),
        "TDX, answer to verdict": judge(good_tdx, by_intel),
        "TDX, refused: a stranger's quote": refused(judge(stranger, by_intel)),
        "TDX, a real quote": lambda: tdx_verifier.verify(quote, collateral, b"", then),
    }


def main(rounds: int) -> None:
    """Time each case, interleaved, and print a table."""
    found = cases()
    clock: dict[str, list[float]] = {name: [] for name in found}
    cpu: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, work in found.items():
            began, spent = time.perf_counter(), time.thread_time()
            work()
            cpu[name].append((time.thread_time() - spent) * 1000)
            clock[name].append((time.perf_counter() - began) * 1000)
    print(f"{rounds} rounds, goal {GOAL_MS} ms of CPU each")
    for name, measured in cpu.items():
        median, slow = statistics.median(measured), statistics.quantiles(measured, n=100)[-1]
        verdict = "ok" if median <= GOAL_MS else "OVER"
        wall = statistics.median(clock[name])
        print(f"  {name:34} {median:6.2f} ms  p99 {slow:6.2f} ms  on the clock {wall:7.2f} ms  {verdict}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
