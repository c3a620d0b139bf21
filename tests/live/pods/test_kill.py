# SPDX-License-Identifier: Apache-2.0
"""`kill -9` of the daemon in the middle of a deploy: the same command again ends well, and pays once.

Each test waits for a fact (in the contract, on the daemon's disk, in Kubernetes), and kills then.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.live.clients import daemons, web
from tests.live.clients.images import with_layer
from tests.live.clients.publisher import Json, Publisher, finish
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import label_of
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.localnet.market import accounts
from trustedpods.protocol.errors import ExitCode
from trustedpods.protocol.sealing.blobs import SEALED_CHUNK_SIZE, chunk_count, derive, sealed_size
from trustedpods.protocol.sealing.requests import publisher_secret
from trustedpods.publisher.images.oci import Blob
from trustedpods.publisher.images.source import open_image

pytestmark = pytest.mark.live

LAYER_CHUNKS = 48
"""Incompressible MiB: enough that there is time to kill between the first and the last of them."""

SYNCED_CHUNKS = 16
"""The daemon acknowledges so many at once, when they are safe on its disk."""

LOOK_EVERY_S = 0.002
LIMIT_S = 120


@dataclass(frozen=True)
class Case:
    """A publisher with a manifest that nobody deployed yet, and what its image consists of."""

    market: LiveLocalnet
    person: Publisher
    file: Path
    blobs: list[Blob]
    secret: bytes

    def kept(self, blob: Blob) -> int:
        """Whole chunks of a blob in the daemon's spool."""
        blob_id, _ = derive(self.secret, blob.digest)
        spool = self.market.cluster().path("provider", "spool")
        file = spool / self.person.address.lower() / f"{blob_id.hex()}.sealed"
        length = file.stat().st_size if file.exists() else 0
        return chunk_count(blob.size) if length == sealed_size(blob.size) else length // SEALED_CHUNK_SIZE

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return self.person.start("deploy", self.file.name, *words, "-o", "json")

    def channels(self) -> list[str]:
        """All that this publisher ever opened."""
        opened = Bank(self.market).ask(lambda chain: chain.opened_by(self.person.address))
        return [hex(one.channel) for one in opened]

    def namespaces(self) -> list[str]:
        words = ("get", "namespaces", "-o", "custom-columns=N:.metadata.name", "--no-headers")
        return self.market.kubectl(*words).split()


@pytest.fixture(scope="module")
def people() -> Iterator[list[Publisher]]:
    """Whoever deploys here; their pods are deleted side by side at the end."""
    found: list[Publisher] = []
    yield found
    with ThreadPoolExecutor() as pool:
        list(pool.map(Publisher.close, found))


@pytest.fixture
def case(
    request: pytest.FixtureRequest, market: LiveLocalnet, people: list[Publisher], tmp_path: Path
) -> Case:
    """The parameter, if there is one: seconds that the pod needs before it serves."""
    person, name = Publisher(market, Bank(market).new_account(tmp_path), tmp_path), unique("kill")
    people.append(person)
    layer = {"srv/random": os.urandom(LAYER_CHUNKS * 1024 * 1024)}
    with_layer("hello", layer, tmp_path / f"{name}.tar")

    def change(spec: Json) -> None:
        (container,) = spec["containers"]
        container["image"] = f"oci-archive:{name}.tar"
        container["command"] = ["/bin/sh", "-c", f"sleep {getattr(request, 'param', 0)}; exec /bin/serve"]
        container["resources"]["limits"]["ephemeral-storage"] = "128Mi"

    image = open_image(f"oci-archive:{name}.tar", tmp_path, tmp_path)
    blobs = sorted(image.blobs, key=lambda blob: -blob.size)
    secret = publisher_secret(accounts.read_key(person.key))
    return Case(market, person, person.manifest("hello", name, change), blobs, secret)


def kill_when(
    case: Case,
    fact: Callable[[], object],
    client: "subprocess.Popen[str]",
    then: Callable[["subprocess.Popen[str]"], None] = lambda client: None,
) -> dict[str, int]:
    """Kill the daemon as soon as *fact* holds; chunks that it had of each blob, by digest.

    *then* happens to the client before the daemon is back.
    """
    pid, deadline = case.market.pid(daemons.part()), monotonic() + LIMIT_S
    while not fact():
        assert client.poll() is None, finish(client, -1)
        assert monotonic() < deadline
        sleep(LOOK_EVERY_S)
    os.kill(pid, signal.SIGKILL)
    then(client)
    kept = {blob.digest: case.kept(blob) for blob in case.blobs}
    daemons.until_back(case.market, pid)
    return kept


def interrupt(client: "subprocess.Popen[str]") -> None:
    """Ctrl-C, by a person who does not wait for what the client would do about the money."""
    client.send_signal(signal.SIGINT)
    finish(client, 130)


def check(case: Case, result: Json) -> None:
    """It serves; there is one channel and one namespace."""
    url = result["endpoints"][0]["url"]
    assert web.get(url).status == 200
    assert [int(channel, 16) for channel in case.channels()] == [int(result["channel"], 16)]
    assert [one["state"] for one in case.person.run("balance").json["channels"]] == ["open"]
    label = f"trustedpods.dev/pod={label_of(url)}"
    found = case.market.kubectl("get", "namespaces", "-l", label, "-o", "name").split()
    assert found == [f"namespace/{result['namespace']}"]


def check_sent(case: Case, sent: Json, kept: dict[str, int]) -> None:
    """Nothing was sent that was there."""
    assert sent["sent_chunks"] == sum(chunk_count(blob.size) - kept[blob.digest] for blob in case.blobs)
    assert all(blob["from"] == kept[blob["digest"]] for blob in sent["sent_blobs"])


def test_with_the_channel_in_the_contract(case: Case) -> None:
    """A client without patience gives notice for the channel, and the second takes that back.

    It gives none where the daemon is not back in time to say that nothing serves.
    """
    client = case.start("--wait", "0s")
    bank = Bank(case.market)
    kept = kill_when(case, lambda: bank.transactions_of(case.person.address), client)
    assert len(case.channels()) == 1
    assert finish(client, ExitCode.NETWORK).json["money"]["state"] in {"unlocking", "open"}
    again = case.person.deploy(case.file).result
    check(case, again)
    check_sent(case, again["sent"], kept)


def test_with_some_chunks_acknowledged(case: Case) -> None:
    """More than the daemon syncs at once, fewer than there are. The first client ends with Ctrl-C."""
    client, layer = case.start(), case.blobs[0]
    kept = kill_when(case, lambda: case.kept(layer) > SYNCED_CHUNKS, client, then=interrupt)
    assert SYNCED_CHUNKS < kept[layer.digest] < chunk_count(layer.size)
    again = case.person.deploy(case.file).result
    check(case, again)
    check_sent(case, again["sent"], kept)


@pytest.mark.parametrize("case", [3], indirect=True)
def test_with_the_namespace_in_the_cluster(case: Case) -> None:
    """A client that is left alone goes on when the daemon is back; a second one has nothing to do.

    The pod takes its time to start, so that there is some to kill in.
    """
    before = set(case.namespaces())
    client = case.start()
    kept = kill_when(case, lambda: set(case.namespaces()) - before, client)
    result = finish(client, 0).json
    check(case, result)
    assert all(kept[blob.digest] == chunk_count(blob.size) for blob in case.blobs)
    assert result["sent"]["sent_chunks"] == sum(kept.values())
    again = case.person.deploy(case.file).result
    check(case, again)
    assert (again["namespace"], again["sent"]["sent_chunks"]) == (result["namespace"], 0)


@pytest.mark.parametrize("case", [40], indirect=True)
def test_of_two_clients_the_newer_wins_and_the_older_touches_nothing(case: Case, tmp_path: Path) -> None:
    """Laptop and CI deploy one name with one key: on one machine the second verb does not begin.

    From another machine it does, and takes the provider's word from the first, which ends with 5. The pod
    needs over twice as long to start as a client does on a busy machine, so that the second one comes in
    the middle of the first.
    """
    laptop, bank = case.start(), Bank(case.market)
    until("the first has paid", lambda: bank.transactions_of(case.person.address))
    elsewhere = tmp_path / "ci"
    elsewhere.mkdir()
    second = case.person.start("deploy", case.file.name, "-o", "json", home=elsewhere)
    refused = case.person.run("delete", case.file.stem, code=ExitCode.LOCKED)
    assert f"process {laptop.pid} (deploy) has it since" in refused.err
    won = finish(second, 0).json
    lost = finish(laptop, ExitCode.LOCKED).json
    assert (lost["error"]["code"], lost["money"]["state"]) == ("locked", "open")
    assert "a newer deploy" in lost["error"]["what"]
    check(case, won)
    check(case, case.person.deploy(case.file).result)
