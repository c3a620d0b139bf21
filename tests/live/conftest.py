# SPDX-License-Identifier: Apache-2.0
"""Markets and publishers for the acceptance tests."""

import hashlib
import secrets
import signal
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.clients import web
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.observers.cluster import Watch, until_zero, watching
from tests.live.observers.money import Bank
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.settings import Knobs

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background by a shell: the commands under test would inherit a deaf ear for Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

QUIET = Knobs(claim_interval_s=3600, unlock_s=60, warn_before_s=12, idle_after_s=2)
"""Nothing is claimed unless the provider is told to, or a pod ends."""

GRACE_S = {6: 20, 18: 120}
"""By the token's decimals: where a test waits for its end, and where one has to do something before it."""

SLOW_IDLE_S = 5
SLOW_PATH = "/slow/60mb.bin"


def unique(name: str) -> str:
    """A pod's name that no other test takes."""
    return f"{name}-{secrets.token_hex(3)}"


@pytest.fixture(scope="session")
def quiet_market(request: pytest.FixtureRequest) -> Iterator[LiveLocalnet]:
    """A market of which the test is the only user; parametrized with the token's decimals."""
    chosen = {"decimals": request.param, "grace_s": GRACE_S[request.param]}
    with localnet(knobs=QUIET.model_copy(update=chosen)) as running:
        yield running


@pytest.fixture(scope="module")
def pair() -> Iterator[LiveLocalnet]:
    """A market of two clusters. It goes with its file: the kernel has inotify instances for six clusters."""
    with localnet(clusters=2) as running:
        yield running


@pytest.fixture(scope="module")
def publisher(market: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    """Somebody new at the shared market; the pods are deleted at the end of the module."""
    folder = tmp_path_factory.mktemp("publisher")
    person = Publisher(market, Bank(market).new_account(folder), folder)
    yield person
    person.close()


@pytest.fixture
def quiet_publisher(quiet_market: LiveLocalnet, tmp_path: Path) -> Iterator[Publisher]:
    """Somebody new at the quiet market; the pods are deleted, so that the next test counts its own only."""
    person = Publisher(quiet_market, Bank(quiet_market).new_account(tmp_path), tmp_path)
    yield person
    person.close()


@dataclass(frozen=True)
class Download:
    """A slow download from a pod that slept; `answer` comes after a minute."""

    deployed: Deployed
    answer: "Future[web.Answer]"
    watch: Watch
    sha256: str


@pytest.fixture(scope="session")
def slow_download(market: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Download]:
    """Begun by the first test that names it, so that its minute passes while other tests run."""
    folder = tmp_path_factory.mktemp("slow")
    person = Publisher(market, Bank(market).new_account(folder), folder)
    deployed = person.deploy(person.manifest("web", unique("slow"), _idle(SLOW_IDLE_S)))
    until_zero(market, deployed.namespace)
    with watching(market, deployed.namespace) as watch, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(web.get, deployed.url, SLOW_PATH)
        yield Download(deployed, answer, watch, sha256_in_image("web", SLOW_PATH))
    person.close()


def _idle(seconds: int) -> Callable[[Json], None]:
    def change(spec: Json) -> None:
        spec["scale"] = {"min": 0, "max": 1, "idleAfter": f"{seconds}s"}

    return change


def sha256_in_image(image: str, path: str) -> str:
    """Hash of a file of the web server's root, read from the image's layers themselves."""
    with tarfile.open(binaries.image(image)) as archive:
        for blob in archive.getmembers():
            found = _find(archive, blob, f"srv/web{path}")
            if found is not None:
                return found
    raise AssertionError(f"no layer of {image} has {path}")


def _find(archive: tarfile.TarFile, blob: tarfile.TarInfo, path: str) -> str | None:
    content = archive.extractfile(blob)
    if content is None:
        return None
    try:
        with tarfile.open(fileobj=content) as layer:
            file = layer.extractfile(path)
            assert file is not None
            return hashlib.sha256(file.read()).hexdigest()
    except (tarfile.ReadError, KeyError):
        return None
