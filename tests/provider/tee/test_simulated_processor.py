# SPDX-License-Identifier: Apache-2.0
"""What a signer outside of the machine answers is bounded, read whole, and searched for what was asked."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.fakes.chain.state import address_of
from tests.protocol.attestation.pki import NOW
from trustedpods.protocol.attestation.simulated import SimulatedRoot, SimulatedSigner
from trustedpods.protocol.attestation.snp.report import SnpReport
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.evidence import Evidence
from trustedpods.protocol.limits import MAX_EVIDENCE
from trustedpods.provider.tee import from_setting
from trustedpods.provider.tee.simulated_processor import ANSWER_LIMIT_S, LENGTH, SimulatedProcessor

SOMEBODY = address_of(b"\x01" * 32)
SIGNER = SimulatedSigner(SimulatedRoot.make(31337, SOMEBODY, SOMEBODY, NOW).machine_pem, b"\x4d" * 48)
DATA = bytes(range(64))


@contextmanager
def answering(
    say: Callable[[bytes], bytes], limit_s: float = ANSWER_LIMIT_S, *, pause_s: float | None = None
) -> Iterator[SimulatedProcessor]:
    """A signer that says this to one question: at once, or byte for byte with a pause after each."""

    def answer() -> None:
        taken, _ = listener.accept()
        with taken, suppress(ConnectionError):
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            said = say(taken.recv(64, socket.MSG_WAITALL))
            for part in [said] if pause_s is None else map(bytes, zip(said, strict=True)):
                taken.sendall(part)
                time.sleep(pause_s or 0)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        there = threading.Thread(target=answer)
        there.start()
        try:
            yield SimulatedProcessor("127.0.0.1", listener.getsockname()[1], limit_s)
        finally:
            there.join()


def framed(data: bytes) -> bytes:
    return LENGTH.pack(len(data)) + data


def test_it_brings_what_the_signer_signed() -> None:
    with answering(lambda asked: framed(encode(SIGNER.sign(asked)))) as processor:
        evidence = processor.collect(DATA)
    report = SnpReport.parse(evidence.report)
    assert (report.report_data, report.measurement) == (DATA, b"\x4d" * 48)
    assert (processor.kind, processor.simulated) == ("sev-snp", True)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "it ended after 0 of 4 bytes"),
        (framed(b"x" * 99)[:50], "it ended after 46 of 99 bytes"),
        (LENGTH.pack(MAX_EVIDENCE + 1), "says that it has 65537 bytes"),
        (b"Traceback (most recent call last)", "says that it has"),
        (framed(b""), "gives something else"),
        (framed(b"\xff" * 40), "gives something else"),
        (framed(encode(Evidence(kind="none"))), "gives something else"),
        (framed(encode(SIGNER.sign(bytes(64)))), "binds something else than what was asked"),
    ],
)  # fmt: skip
def test_anything_else_is_refused(answer: bytes, words: str) -> None:
    with answering(lambda _: answer) as processor, pytest.raises(Refused, match=words) as refused:
        processor.collect(DATA)
    assert refused.value.rule == "tee"
    assert refused.value.what.startswith("the simulated processor at 127.0.0.1:")


def test_an_answer_may_come_in_parts() -> None:
    with answering(lambda asked: framed(encode(SIGNER.sign(asked))), pause_s=0) as processor:
        assert SnpReport.parse(processor.collect(DATA).report).report_data == DATA


def test_who_says_little_at_a_time_has_no_more_time() -> None:
    """The answer would take a minute, and no part of it is late."""
    slow = answering(lambda asked: framed(encode(SIGNER.sign(asked))), 0.3, pause_s=0.03)
    with slow as processor, pytest.raises(Refused, match="gives no evidence: timed out") as refused:
        processor.collect(DATA)
    assert refused.value.rule == "tee"


def test_nobody_there_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(Refused, match="gives no evidence"):
        from_setting(f"simulated:127.0.0.1:{port}", "sealed").collect(DATA)
