# SPDX-License-Identifier: Apache-2.0
"""A simulated security processor outside of the machine, which signs what was measured of it.

The host of an emulated machine has it at an address of the machine's network. One question for each
connection: 64 bytes of report_data go out, the length of the evidence (4 bytes, the greatest first) and the
evidence come in. Nothing secret is asked, and the answer counts only for publishers of the localnet whose
root signed it.
"""

import socket
import struct
import time
from typing import Final

from trustedpods.protocol.attestation.snp.report import SnpReport
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import EvidenceRefused, Refused, RemoteProtocolError
from trustedpods.protocol.evidence import Evidence
from trustedpods.protocol.limits import MAX_EVIDENCE

LENGTH: Final = struct.Struct(">I")
ANSWER_LIMIT_S: Final = 120.0
"""Of a whole answer. A program of the host's is started for each, and the host may be busy with emulating."""


class SimulatedProcessor:
    """The signer at *host* and *port* (IPv4), which has *limit_s* for an answer."""

    simulated = True
    kind = "sev-snp"

    def __init__(self, host: str, port: int, limit_s: float = ANSWER_LIMIT_S) -> None:
        self._where, self._limit_s = (host, port), limit_s

    def collect(self, report_data: bytes) -> Evidence:
        """Evidence that binds *report_data*, which is looked for in the report before it goes out.

        Refused (rule "tee") where nobody answers in time, or with something else.
        """
        end = time.monotonic() + self._limit_s
        try:
            with socket.create_connection(self._where, self._limit_s) as made:
                made.sendall(report_data)
                (size,) = LENGTH.unpack(_exactly(made, LENGTH.size, end))
                if size > MAX_EVIDENCE:
                    raise self._refused(f"says that it has {size} bytes of evidence")
                evidence = decode(_exactly(made, size, end), Evidence)
            bound = SnpReport.parse(evidence.report).report_data
        except OSError as error:
            raise self._refused(f"gives no evidence: {error}") from error
        except (RemoteProtocolError, EvidenceRefused) as error:
            raise self._refused(f"gives something else: {error.what}") from error
        if bound != report_data:
            raise self._refused("binds something else than what was asked")
        return evidence

    def _refused(self, what: str) -> Refused:
        host, port = self._where
        return Refused(f"the simulated processor at {host}:{port} {what}", rule="tee")


def _exactly(made: socket.socket, size: int, end: float) -> bytes:
    """So many bytes; OSError where it ends before, or they are not there at *end* (monotonic)."""
    data = b""
    while len(data) < size:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        made.settimeout(left)
        # MSG_WAITALL waits for nothing here: Python's sockets with a time limit do not block
        part = made.recv(size - len(data))
        if not part:
            raise ConnectionError(f"it ended after {len(data)} of {size} bytes")
        data += part
    return data
