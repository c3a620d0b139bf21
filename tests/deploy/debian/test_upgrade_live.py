# SPDX-License-Identifier: Apache-2.0
"""A package is installed on a node, earns, and under load another of a newer schema takes its place.

Then the first one is refused. It is that of an earlier commit of this repository (`packages.OLDER`); the
newer one is this checkout, with one migration more where its own schema is not newer. The machine shares the
network of a localnet's node, which has no provider. `soak`: two packages are built, and many pods deployed.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.debian.machine_operator import (
    BOOKS,
    FIRST,
    LATER,
    MOST_COMMANDS,
    Operator,
    prepared,
    say,
    schema,
)
from tests.deploy.debian.packages import deb, later, older
from tests.live.clients import protocols, web
from tests.live.clients.publisher import Deployed, Publisher
from tests.live.clients.steady import Answers, steady_requests
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from tests.paths import ROOT
from trustedpods.contracts.records import Channel
from trustedpods.localnet.network import NAMESPACES
from trustedpods.localnet.settings import Knobs

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(2400)]

NEWER_VERSION = "99.0"
PODS = 20
"""All awake: two cores beside other tests take some minutes for them."""

CPU_OF_A_POD = "50m"
"""All of them are one core: the node has two, and its own parts."""

DEPLOYS_AT_ONCE = 2
REQUESTS_A_SECOND = 1.0
"""To each pod."""

PERIOD_S = 20
NO_GAP = 0.9
"""Periods are whole seconds, of `PERIOD_S` at least: each end is up to one of them off."""


@dataclass(frozen=True)
class Packages:
    """That of an earlier commit, and that of this checkout, of a newer schema."""

    older: Path
    older_schema: str
    newer: Path
    newer_schema: str


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    parts = deb.parts_of(ROOT, tmp_path_factory.mktemp("parts"))
    first, its_schema = older(parts, tmp_path_factory.mktemp("older"))
    newer, schema_of_newer = later(parts, NEWER_VERSION, tmp_path_factory.mktemp("newer"), its_schema)
    return Packages(first, its_schema, newer, schema_of_newer)


@pytest.fixture
def node() -> Iterator[LiveLocalnet]:
    with localnet(knobs=Knobs(provider=False)) as running:
        yield running


def deployed(publisher: Publisher, count: int) -> list[Deployed]:
    """The last one echoes, the others are pages."""
    files = [publisher.manifest("hello", f"hello-{number}", awake) for number in range(count - 1)]
    files.append(publisher.manifest("echo", "echo", awake_by_http))
    with ThreadPoolExecutor(DEPLOYS_AT_ONCE) as pool:
        return list(pool.map(lambda file: publisher.deploy(file, "--trust", "open"), files))


def awake(spec: dict[str, Any]) -> None:
    spec["scale"] |= {"min": 1, "max": 1}
    for container in spec["containers"]:
        container["resources"]["limits"]["cpu"] = CPU_OF_A_POD


def awake_by_http(spec: dict[str, Any]) -> None:
    awake(spec)
    spec["services"] = [one for one in spec["services"] if one["name"] == "web"]


def test_a_newer_schema_comes_under_load_and_no_older_package_after_it(
    node: LiveLocalnet, packages: Packages, tmp_path: Path
) -> None:
    machine = prepared(node, tmp_path / "machine", packages.older, packages.newer)
    namespace = node.cluster().namespace
    assert namespace is not None
    publisher = Publisher(node, Bank(node).new_account(tmp_path), tmp_path)
    with machine.running(NAMESPACES / namespace) as running:
        operator = Operator(node, running, machine.root, [])
        began = time.monotonic()
        operator.install()
        operator.enter_the_market()
        pods = deployed(publisher, PODS)
        say(operator, f"{PODS} pods after {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.0f}")
        assert len(operator.typed) <= MOST_COMMANDS
        assert operator.schema() == packages.older_schema
        upgraded_under_load(operator, pods, packages)
        refused_to_go_back(operator, pods, packages)
        publisher.close()


def upgraded_under_load(operator: Operator, pods: list[Deployed], packages: Packages) -> None:
    """No request fails, a WebSocket stays open, and a second of a pod costs what it cost before."""
    at = operator.node.cluster().node_ip
    first = settled(operator, pods)
    until("some seconds were used", lambda: time.time() - first[0].up_to > PERIOD_S)
    second = settled(operator, pods)
    with ExitStack() as stack:
        socket = stack.enter_context(protocols.websocket(web_of(pods[-1]), at=at))
        load = [stack.enter_context(steady_requests(pod.url, REQUESTS_A_SECOND, at)) for pod in pods[:-1]]
        until("each pod is asked", lambda: all(one.total > 5 for one in load))
        operator.ask("claim")  # not final yet when its daemon ends
        operator.install(LATER)
        until("the new daemon answers", operator.serves)
        asked = [one.total for one in load]
        until("each pod is asked after it", lambda: all(map(more_than, load, asked)))
        socket.send("after the upgrade")
        assert socket.recv(protocols.LIMIT_S) == "after the upgrade"
    slowest = max(one.slowest_s for one in load)
    say(operator, f"{sum(one.total for one in load)} requests meanwhile, the slowest {slowest:.2f} s")
    assert [str(one) for one in load if one.failed] == []
    copy = operator.root / BOOKS.with_name(f"{BOOKS.name}.schema-{packages.older_schema}")
    assert (operator.schema(), schema(copy)) == (packages.newer_schema, packages.older_schema)
    third = settled(operator, pods)
    for before, between, after in zip(first, second, third, strict=True):
        assert cost_of_a_second(between, after) > NO_GAP * cost_of_a_second(before, between)
    until("nothing is out", lambda: operator.ask("earnings")["claimsOut"] == 0)
    told = operator.ask("earnings")
    assert (told["paid"], told["feesUnknown"]) == (told["withdrawable"], 0)


def settled(operator: Operator, pods: list[Deployed]) -> list[Channel]:
    """Each pod's channel, once all is claimed up to now."""
    since, bank = int(time.time()), Bank(operator.node)

    def look() -> list[Channel]:
        operator.ask("claim")
        found = [bank.channel(pod.channel) for pod in pods]
        return [one for one in found if one is not None and one.up_to >= since]

    return until("all is claimed up to now", lambda: found if len(found := look()) == len(pods) else [])


def web_of(pod: Deployed) -> str:
    return next(str(end["url"]) for end in pod.result["endpoints"] if end["service"] == "web")


def more_than(answers: Answers, asked: int) -> bool:
    return answers.total > asked + 5


def cost_of_a_second(begin: Channel, end: Channel) -> float:
    return (begin.left - end.left) / (end.up_to - begin.up_to)


def refused_to_go_back(operator: Operator, pods: list[Deployed], packages: Packages) -> None:
    """With the reason, before a file is replaced: the daemon goes on, and pods are served."""
    machine = operator.machine
    daemon = machine.done("systemctl show --value -p MainPID trustedpods-provider")
    words = f"apt install --yes --allow-downgrades /{FIRST}/{packages.older.name}"
    refused = machine.run(words)
    assert refused.returncode != 0
    reason = f"the books in /{BOOKS} are of schema {packages.newer_schema}, and this package knows up to"
    assert reason in refused.stdout + refused.stderr
    assert machine.done("dpkg-query --show --showformat '${Version}' trusted-pods-provider") == NEWER_VERSION
    assert machine.done("systemctl show --value -p MainPID trustedpods-provider") == daemon
    assert operator.serves()
    assert operator.schema() == packages.newer_schema
    at = f"{operator.node.cluster().node_ip}:80"
    assert {web.get(pod.url, at=at).status for pod in pods[:-1]} == {200}
