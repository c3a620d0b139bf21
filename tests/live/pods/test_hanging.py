# SPDX-License-Identifier: Apache-2.0
"""A provider that hangs (SIGSTOP) instead of stopping: its port still accepts, and nothing ever answers.

Every verb that needs it ends by itself with code 8 and says who does not answer; what needs only the chain
works on; and when the daemon goes on, so does everything else.
"""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.clients import daemons
from tests.live.clients.publisher import Publisher, Said, finish
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.money import Bank
from trustedpods.protocol.errors import ExitCode

pytestmark = pytest.mark.live

LOOK_EVERY_S = 0.002
"""Often: an upload and what follows it take a second or two."""

ENDS_WITHIN_S = 100
"""Each verb dials for 15 s at most, and reads the chain; the machine may be busy."""

NOTICED_WITHIN_S = 90
"""In the middle of a deploy: 30 s without an answer to a ping, then `--wait`, and dials of 10 s."""


@contextmanager
def hanging(pid: int) -> Iterator[None]:
    """The daemon stands still while the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def person(market: LiveLocalnet, tmp_path: Path) -> Iterator[Publisher]:
    """Somebody new."""
    made = Publisher(market, Bank(market).new_account(tmp_path), tmp_path)
    yield made
    made.close()


def timed(person: Publisher, words: list[str]) -> tuple[Said, float]:
    """A verb that must end with code 8, and how long it took."""
    began = time.monotonic()
    said = finish(person.start(*words, "-o", "json"), ExitCode.NETWORK)
    return said, time.monotonic() - began


def test_every_verb_ends_in_time(market: LiveLocalnet, person: Publisher) -> None:
    pod = person.deploy(person.manifest("hello", unique("hang"))).name
    other = person.manifest("hello", unique("hang"))
    owner = person.run("provider", "list").json["providers"][0]
    with hanging(market.pid(daemons.part())):
        verbs = {
            "status": ["status", pod],
            "logs": ["logs", pod],
            "delete": ["delete", pod],
            "bill": ["bill", pod],
            "deploy": ["deploy", other.name],
            "attest": ["attest", f"{owner['owner']}/{owner['daemon']}"],
        }
        with ThreadPoolExecutor(len(verbs)) as pool:
            running = {name: pool.submit(timed, person, words) for name, words in verbs.items()}
        person.run("balance")
    said = {name: one.result() for name, one in running.items()}
    took = {name: seconds for name, (_, seconds) in said.items()}
    assert max(took.values()) < ENDS_WITHIN_S, took
    for name, (one, _) in said.items():
        error = one.json["error"]
        assert error["rule"] == "timeout", name
        assert "does not answer" in error["what"], name
        assert "Traceback" not in one.err, name
    assert person.run("status", pod).json["phase"] == "serving"


def test_a_provider_that_hangs_in_the_middle_of_a_deploy(market: LiveLocalnet, person: Publisher) -> None:
    """The client hears nothing more: it ends, says so, and a second deploy goes on from there."""
    name = unique("hang")
    file = person.manifest("web", name)
    records, pid = _spool(market), market.pid(daemons.part())
    process = person.start("deploy", file.name, "--wait", "5s", "-o", "json")
    began = time.monotonic()
    while not _spool(market) - records:
        assert time.monotonic() - began < NOTICED_WITHIN_S
        time.sleep(LOOK_EVERY_S)
    with hanging(pid):
        began = time.monotonic()
        said = finish(process, ExitCode.NETWORK)
        assert time.monotonic() - began < NOTICED_WITHIN_S
        assert "Traceback" not in said.err
    assert person.deploy(file).result["sent"]["sent_chunks"] >= 0


def _spool(market: LiveLocalnet) -> set[Path]:
    return set(market.cluster().path("provider", "spool").glob("*/*.sealed"))
