# SPDX-License-Identifier: Apache-2.0
"""A market whose provider runs in an emulated machine of the image: a pod's life in it, told from the host.

The image is of cached parts, or takes minutes. The machine needs three minutes of processor time to
answer, so a busy host takes long. Its provider is of class sealed, by evidence that its host simulates. What
`make machine` leaves out of the pod's life is in `make soak`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from tests.localnet.emulated.outside import Json, drafted, hello, policy, publisher, refused, tell, tried
from tests.paths import ROOT
from trustedpods.localnet.down import down
from trustedpods.localnet.emulated import boot_files
from trustedpods.localnet.processes import supervisor
from trustedpods.localnet.settings import Knobs, Settings
from trustedpods.localnet.up import up

pytestmark = [pytest.mark.live, pytest.mark.timeout(3600)]

NAME = "hello-machine"
UP_LIMIT_S = 2400.0
LIMIT_S = 900.0
KNOBS = Knobs(idle_after_s=10)
REFUSED = 6
"""The exit code of a provider's no."""

T = TypeVar("T")


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Brought up; how long and how much the machine took is printed."""
    image, name = tmp_path_factory.mktemp("image"), f"machine-{os.getpid()}"
    builder = [sys.executable, ROOT / "deploy/guest_image/guest_image.py", image]
    subprocess.run(builder, check=True, cwd=ROOT)
    began = time.monotonic()
    try:
        made = up(name, guest=image, knobs=KNOBS, limit_s=UP_LIMIT_S, say=tell)
        tell(f"the market is up after {time.monotonic() - began:.0f} s: {taken(machine(made.state))}")
        yield made
        tell(f"at the end: {taken(machine(made.state))}")
    finally:
        down(name)


def machine(state: Path) -> int:
    """The process that emulates."""
    (pid,) = [one.pid for one in supervisor.read_status(state) if one.name == "k1/machine"]
    assert pid is not None
    return pid


def taken(pid: int) -> str:
    """Of that process, and its resident memory."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return f"{ticks // os.sysconf('SC_CLK_TCK')} s of processor time, {pages * 4 // 1024} MiB resident"


def until(what: str, look: Callable[[], T | None]) -> T:
    """What *look* returns, as soon as it is not None."""
    end = time.monotonic() + LIMIT_S
    while True:
        if (found := look()) is not None:
            return found
        assert time.monotonic() < end, f"waited {LIMIT_S:.0f} s in vain for {what}"
        time.sleep(1.0)


def attested(market: Settings) -> tuple[bytes, str]:
    """What the image measures to, and which configuration the machine attests (64 hex)."""
    assert market.guest is not None
    draft = drafted(market)
    measured = boot_files.measured(market.guest)
    assert draft["simulated"][0]["measurements"] == [measured.hex()]
    return measured, draft["config_digests"][0]


@pytest.mark.machine
def test_another_image_or_configuration_than_the_policys_is_sent_nothing(market: Settings) -> None:
    measured, configuration = attested(market)
    deploy = ("deploy", hello(market), "--name", NAME, "--deposit", "1d", "--policy")
    rule, words = refused(market, *deploy, policy(market, other(measured), configuration))
    assert (rule, measured.hex()[:16] in words) == ("measurement", True), words
    another = other(bytes.fromhex(configuration)).hex()
    rule, words = refused(market, *deploy, policy(market, measured, another))
    assert (rule, configuration[:16] in words) == ("config-digest", True), words
    assert publisher(market, "list")["pods"] == []


def other(digest: bytes) -> bytes:
    return bytes([digest[0] ^ 1]) + digest[1:]


@pytest.fixture(scope="module")
def deployed(market: Settings) -> Json:
    """A pod under the policy that pins this image and this configuration; what was said of it."""
    words = ("deploy", hello(market), "--name", NAME, "--deposit", "1d", "--policy")
    pinned = policy(market, *attested(market))

    def accepted() -> Json | None:
        """Before a probe pod in the machine had user ids of its own, nobody is who cannot do without."""
        code, answer = tried(market, *words, pinned)
        if code == REFUSED and answer["error"]["rule"] == "user-namespaces":
            return None
        assert code == 0, answer
        return answer

    return until("user ids of their own", accepted)


def served(deployed: Json) -> str | None:
    """What the pod answers; None where a busy host does not wake it within the minute of a request."""
    url = httpx.URL(deployed["endpoints"][0]["url"])
    asked = {"headers": {"Host": url.netloc.decode()}, "timeout": 300, "trust_env": False}
    answer = httpx.get(url.copy_with(host="127.0.0.1"), **asked)
    assert answer.status_code in {200, 503}
    return answer.text if answer.status_code == 200 else None


@pytest.mark.machine
def test_a_pod_is_deployed_and_serves_where_image_and_configuration_are_the_policys(deployed: Json) -> None:
    assert (deployed["trust"]["class"], deployed["trust"]["simulated"]) == ("sealed", True)
    assert "Hello from a trusted pod" in until("an answer", lambda: served(deployed))


@pytest.mark.soak
def test_it_sleeps_wakes_serves_and_is_billed(market: Settings, deployed: Json) -> None:
    def asleep() -> Json | None:
        told = publisher(market, "status", NAME)
        return told if told["replicas"] == 0 else None

    until("the pod to sleep", asleep)
    assert "Hello from a trusted pod" in until("an answer", lambda: served(deployed))

    def billed() -> Json | None:
        told = publisher(market, "bill", NAME)
        return told if int(told["total_units"]) > 0 else None

    assert until("a bill", billed)["problems"] == []
