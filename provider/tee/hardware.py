# SPDX-License-Identifier: Apache-2.0
"""Evidence of real hardware: the kernel's report, and what a verifier needs beside it.

What the vendor says of the machine (revocation list, TDX collateral) changes and is fetched by the
operator's timer into a folder; it is read anew for each report and verified by whoever asks.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from trustedpods.protocol.attestation.snp import chain as snp_chain
from trustedpods.protocol.attestation.snp.report import SigningKey, SnpReport
from trustedpods.protocol.attestation.tdx import quote as tdx_quote
from trustedpods.protocol.errors import BadInput, EvidenceRefused, NoContext, Refused
from trustedpods.protocol.evidence import Evidence
from trustedpods.protocol.limits import MAX_EVIDENCE
from trustedpods.provider.tee import certificates, tsm

REVOCATION_LIST: Final = "crl.der"
SIGNING_KEY: Final = "vek.der"
COLLATERAL: Final = "collateral.json"
EVENT_LOG: Final = "event_log.json"

_KINDS: Final[dict[str, Literal["sev-snp", "tdx"]]] = {"sev_guest": "sev-snp", "tdx_guest": "tdx"}


class HardwareTee:
    """The TEE of this machine, over the kernel's configfs-tsm.

    *files* is the folder with what the vendor says; None where there is none. NoContext when the
    kernel has no TEE, or one that is not supported.
    """

    simulated = False

    def __init__(
        self, door: tsm.Tsm, files: Path | None, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._door, self._files, self._pause = door, files, pause
        provider = tsm.provider_name(door)
        if provider not in _KINDS:
            raise NoContext(
                f"the kernel's TEE {provider!r} is not supported",
                where="identity.tee",
                hint="SEV-SNP (sev_guest) and TDX (tdx_guest) are",
            )
        self._provider = provider
        self.kind: Literal["sev-snp", "tdx"] = _KINDS[provider]

    def collect(self, report_data: bytes) -> Evidence:
        """Evidence that binds *report_data*, which is looked for in the report before it goes out.

        Refused (rule "tee") when the kernel answers with something else.
        """
        answer = tsm.report(self._door, report_data, self._pause)
        if answer.provider != self._provider:
            raise Refused(f"the TEE was {self._provider} and is now {answer.provider}", rule="tee")
        try:
            evidence = self._snp(answer) if self.kind == "sev-snp" else self._tdx(answer)
            bound = _report_data(evidence)
        except EvidenceRefused as error:
            raise Refused(f"the TEE's report is malformed: {error.what}", rule="tee") from error
        except BadInput as error:
            raise Refused(f"the host's certificates are unusable: {error}", rule="tee") from error
        if bound != report_data:
            raise Refused("the TEE's report binds something else than what was asked", rule="tee")
        size = len(evidence.report) + len(evidence.collateral) + len(evidence.event_log)
        if size + sum(map(len, evidence.certificates)) > MAX_EVIDENCE:
            raise Refused(f"more than {MAX_EVIDENCE} bytes of evidence", rule="tee")
        return evidence

    def _snp(self, answer: tsm.TsmReport) -> Evidence:
        report = SnpReport.parse(answer.outblob)
        kind = certificates.VLEK if report.signing_key is SigningKey.VLEK else certificates.VCEK
        vek = certificates.parse(answer.auxblob).get(kind) or self._file(SIGNING_KEY)
        if not vek:
            raise NoContext(
                "neither the host nor the operator has the certificate of the chip's key",
                where=str(self._files / SIGNING_KEY if self._files else "identity.tee_files"),
                hint="fetch it from AMD (docs/attestation.md)",
            )
        snp_chain.load_vek(vek)
        return Evidence(
            kind="sev-snp", report=answer.outblob, certificates=[vek], collateral=self._file(REVOCATION_LIST)
        )

    def _tdx(self, answer: tsm.TsmReport) -> Evidence:
        collateral = self._file(COLLATERAL)
        if not collateral:
            raise NoContext(
                "Intel's statements about this platform are missing",
                where=str(self._files / COLLATERAL if self._files else "identity.tee_files"),
                hint="fetch them from Intel or a cache of its service (docs/attestation.md)",
            )
        return Evidence(
            kind="tdx", report=answer.outblob, collateral=collateral, event_log=self._file(EVENT_LOG)
        )

    def _file(self, name: str) -> bytes:
        """A file of the folder; nothing where it is not there."""
        if self._files is None:
            return b""
        path = self._files / name
        try:
            with path.open("rb") as file:
                data = file.read(MAX_EVIDENCE + 1)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise NoContext(f"cannot read it: {error.strerror}", where=str(path)) from error
        if len(data) > MAX_EVIDENCE:
            raise NoContext(f"more than {MAX_EVIDENCE} bytes", where=str(path))
        return data


def _report_data(evidence: Evidence) -> bytes:
    if evidence.kind == "tdx":
        return tdx_quote.report_data_of(evidence.report)
    return SnpReport.parse(evidence.report).report_data
