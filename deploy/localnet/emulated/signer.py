# SPDX-License-Identifier: Apache-2.0
"""The simulated processor of an emulated machine.

qemu starts `python -m trustedpods.localnet.emulated.signer STATE MEASUREMENT` for each connection that the
guest makes to `files.SIGNER`, an address which no other machine has. It reads 64 bytes of report_data and
signs them with the localnet's chip, as of a machine with the measurement (hexadecimal) that the host took of
the files which it booted. What the guest says decides nothing else.
"""

import signal
import sys
from pathlib import Path
from typing import BinaryIO

from trustedpods.localnet.market.files import machine_file
from trustedpods.protocol.attestation.report_data import REPORT_DATA_BYTES
from trustedpods.protocol.attestation.simulated import SimulatedSigner
from trustedpods.protocol.codec import encode
from trustedpods.provider.tee.simulated_processor import ANSWER_LIMIT_S, LENGTH


def answer(asked: BinaryIO, said: BinaryIO, machine_pem: str, measurement: bytes) -> None:
    """Sign what is asked; nothing where less is asked."""
    report_data = asked.read(REPORT_DATA_BYTES)
    if len(report_data) != REPORT_DATA_BYTES:
        return
    evidence = encode(SimulatedSigner(machine_pem, measurement).sign(report_data))
    said.write(LENGTH.pack(len(evidence)) + evidence)
    said.flush()


def main(state: Path, measurement: bytes) -> None:
    """One question, one answer; no guest keeps a process of its host's by asking nothing."""
    signal.alarm(int(ANSWER_LIMIT_S))
    answer(sys.stdin.buffer, sys.stdout.buffer, machine_file(state).read_text("ascii"), measurement)


if __name__ == "__main__":
    main(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]))
