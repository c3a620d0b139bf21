# SPDX-License-Identifier: Apache-2.0
"""Leases of networks over two real clusters: processes killed, stopped, or before a silent API server."""

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from tests.live.clients import daemons
from tests.live.clients.publisher import Json, Publisher, finish
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.networks.calling_nodes import OTHER, CallingNodes
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from tests.paths import ROOT
from trustedpods.localnet.market import accounts
from trustedpods.protocol.networks.leases import LEASE_MS
from trustedpods.provider.networks import stored

pytestmark = pytest.mark.live

SYSTEM = "trustedpods-system"
LEASE_S = LEASE_MS / 1000
LATE_S = 5.0
"""How much later than its end a dead holder's lease may be somebody else's."""

PROCESS_LIMIT_S = 120


class People:
    """Processes of one key on networks of two clusters."""

    def __init__(self, pair: LiveLocalnet, folder: Path) -> None:
        self.pair, self.folder = pair, folder
        self.person = Publisher(pair, Bank(pair).new_account(folder), folder)
        owners = [accounts.address(accounts.owner_key(one)) for one in pair.settings.all_clusters()]
        self.named = [f"k{number}={owner}/1" for number, owner in enumerate(owners, 1)]
        self.started: list[subprocess.Popen[str]] = []

    def log(self, network: str) -> Path:
        return self.folder / f"{network}.log"

    def start(
        self, network: str, order: str = "k1,k2", hold_s: float = 0.0, *told: str
    ) -> "subprocess.Popen[str]":
        """A command that waits for its turn."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "TRUSTEDPODS_MARKET": str(self.pair.market_file),
            "TRUSTEDPODS_KEY": str(self.person.key),
        }
        words = [network, ",".join(self.named), order, str(self.log(network)), str(hold_s), *told]
        argv = [sys.executable, "-m", "tests.live.clients.network_command", *words]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            argv, env=environment, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        self.started.append(process)
        return process

    def held(self, network: str) -> "subprocess.Popen[str]":
        """A command that holds all leases, and writes when it is told to."""
        process = self.start(network, "k1,k2", 0.0, "told")
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n", process.communicate()
        return process

    def verb(self, *words: str, network: str, code: int = 0) -> Json:
        """`trustedpods` with the network's clusters."""
        clusters = [part for one in self.named for part in ("--cluster", one)]
        return self.person.run(*words, network, *clusters, code=code).json

    def secret(self, network: str, index: int) -> tuple[str, bytes]:
        """The name of the network's objects in one cluster, and what its Secret holds."""
        listed = json.loads(self.pair.kubectl("-n", SYSTEM, "get", "secrets", "-o", "json", index=index))
        (found,) = [
            one for one in listed["items"] if one["metadata"]["name"].startswith(f"network-{network}-")
        ]
        return found["metadata"]["name"], base64.b64decode(found["data"]["network"])

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def people(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    made = People(pair, tmp_path_factory.mktemp("people"))
    yield made
    made.close()


def name() -> str:
    return f"n{secrets.token_hex(3)}"


def said(process: "subprocess.Popen[str]") -> str:
    """The last line of a command that must end by itself."""
    out, err = process.communicate(timeout=PROCESS_LIMIT_S)
    assert process.returncode == 0, out + err
    return out.splitlines()[-1]


def tell(process: "subprocess.Popen[str]") -> None:
    """Let a command that holds all leases write now."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def turns(log: Path) -> list[tuple[str, float, int]]:
    return [(what, float(at), int(n)) for what, at, n in map(str.split, log.read_text().splitlines())]


def in_both_orders(people: People, count: int, hold_s: float) -> float:
    """Run *count* commands side by side; the seconds from the first start to the last end."""
    network, began = name(), monotonic()
    orders = ("k1,k2", "k2,k1")
    processes = [people.start(network, orders[number % 2], hold_s) for number in range(count)]
    written = sorted(said(process) for process in processes)
    assert written == sorted(f"written {number}" for number in range(1, count + 1))
    took = monotonic() - began
    order = sorted(turns(people.log(network)), key=lambda turn: turn[1])
    expected = [entry for number in range(count) for entry in (("held", number), ("done", number + 1))]
    assert [(what, generation) for what, _, generation in order] == expected, "never two at a time"
    copies = people.verb("state", "compare", network=network)
    assert copies["difference"] == ""
    assert {one["generation"] for one in copies["clusters"].values()} == {count}
    return took


def test_processes_in_both_orders_take_turns(people: People) -> None:
    in_both_orders(people, 4, 0.2)


@pytest.mark.soak
def test_twenty_processes_of_a_second_each(people: People) -> None:
    assert in_both_orders(people, 20, 1.0) <= 60


def test_what_people_see_of_a_lease_and_how_they_break_it(people: People) -> None:
    network = name()
    holder = people.held(network)
    status = people.verb("lock", "status", network=network)
    held_by = [one["holder"] for one in status["clusters"].values()]
    assert {one["who"] for one in held_by} == {people.person.address}
    assert {one["command"] for one in held_by} == {"a test"}
    refused = people.verb("state", "repair", "--from", "k1", network=network, code=5)
    assert "retry after 1 min" in str(refused["error"])
    objects, _ = people.secret(network, 1)
    lease = ("-n", SYSTEM, "get", "lease", objects, "-o", "jsonpath={.spec.holderIdentity}")
    until("the Lease names its holder", lambda: people.person.address in people.pair.kubectl(*lease))
    broken = people.verb("lock", "break", "--reason", "a lake", network=network)
    assert broken["broken"] == dict.fromkeys(("k1", "k2"), people.person.address)
    tell(holder)
    assert said(holder) == "refused lease-lost"
    after = people.verb("lock", "status", network=network)
    records = [one["broken"][0]["reason"] for one in after["clusters"].values()]
    assert records == ["a lake", "a lake"]
    until("the Lease names nobody", lambda: people.pair.kubectl(*lease) == "")


def test_history_rebuilds_a_network_on_empty_clusters_and_a_backup_brings_it_back(people: People) -> None:
    """What the documents hold is taken away twice: by an owner's removal, which leaves no object behind."""
    network = name()
    clusters = [part for one in people.named for part in ("--cluster", one)]
    run, file = people.person.run, people.folder / f"{network}.backup"
    people.verb("network", "connect", network=network)
    assert run("state", "backup", network, str(file), *clusters).json["generation"] == 1
    assert people.verb("state", "migrate", network=network)["steps"] == []
    (begun,) = people.verb("history", network=network)["commands"]
    assert (begun["verb"], begun["by"], begun["result"]) == ("network connect", people.person.address, "done")
    script = finish(people.person.start("history", network, "--as-script", *clusters), 0).out

    def objects() -> str:
        kinds, found = ("get", "secrets,leases", "-o", "name"), ""
        for index in (1, 2):
            found += people.pair.kubectl("-n", SYSTEM, *kinds, index=index)
        return found

    assert f"/network-{network}-" in objects()
    for again in ("script", "backup"):
        people.verb("network", "delete", network=network)
        until("no cluster keeps anything of it", lambda: f"/network-{network}-" not in objects())
        if again == "script":
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            environment = people.person.environment() | {"PATH": path}
            subprocess.run(["/bin/sh", "-c", script], env=environment, check=True, timeout=PROCESS_LIMIT_S)
            assert people.verb("history", network=network)["commands"][0]["verb"] == "network connect"
        else:
            assert run("state", "restore", network, str(file), *clusters).json["generation"] == 1
            told = [one["verb"] for one in people.verb("history", network=network)["commands"]]
            assert told == ["network connect", "state restore"]


def test_one_that_is_killed_and_one_that_is_stopped_delay_the_next_by_a_lease(people: People) -> None:
    """Both at once, on networks of their own. The one that was stopped finds its write refused."""
    killed, stopped = name(), name()
    victim, sleeper = people.held(killed), people.held(stopped)
    victim.kill()
    sleeper.send_signal(signal.SIGSTOP)
    began = monotonic()
    following = {network: people.start(network) for network in (killed, stopped)}
    for network, process in following.items():
        assert said(process) == "written 1"
        granted = [at for what, at, _ in turns(people.log(network)) if what == "held"][-1]
        assert granted - began <= LEASE_S + LATE_S
    sleeper.send_signal(signal.SIGCONT)
    tell(sleeper)
    assert said(sleeper) == "refused lease-lost"
    copies = people.verb("state", "compare", network=stopped)
    assert {one["generation"] for one in copies["clusters"].values()} == {1}


def test_an_api_server_that_is_silent_leaves_no_half_write(people: People) -> None:
    """The first copy has the document pending while the second's API server answers nothing; then it does."""
    network = name()
    holder = people.held(network)
    with daemons.silent(people.pair, "k2/apiserver"):
        tell(holder)

        def pending() -> bool:
            kept = stored.from_bytes(people.secret(network, 1)[1], LEASE_MS)
            return kept.copy.pending is not None and kept.copy.current.generation == 0

        until("the first copy has it pending, and it does not count", pending)
    assert said(holder) in ("written 1", "refused unreachable", "refused lease-lost")
    assert said(people.start(network)).startswith("written ")
    copies = people.verb("state", "compare", network=network)
    assert copies["being_written"] is False
    assert copies["difference"] == ""


def _with_values(spec: Json) -> None:
    spec["containers"][0]["env"] = [{"name": "WHO", "value": "${self.name} ${values.mark}"}]


class Applied:
    """A network of two pods in two clusters, and three people, each with a key and a home."""

    def __init__(self, people: People) -> None:
        self.people, self.name, self.bank = people, name(), Bank(people.pair)
        self.alice = people.person
        self.bob, self.eve = self._somebody("bob"), self._somebody("eve")
        self.pod = self.alice.manifest("hello", f"{self.name}-hello").name
        self.template = self.alice.manifest("hello", f"{self.name}-template", _with_values).name
        self.clusters = [part for one in people.named for part in ("--cluster", one)]
        self.file = self.write("a k1", "b k2")

    def _somebody(self, who: str) -> Publisher:
        folder = self.people.folder / f"{self.name}-{who}"
        folder.mkdir()
        return Publisher(self.people.pair, self.bank.new_account(folder), folder)

    def write(self, *nodes: str) -> Path:
        """The file, with *nodes* as `NAME CLUSTER`; cards lie beside it.

        b is made from a template, begun after a, and goes to k2 because it asks for that provider.
        """
        lines = ["apiVersion: trustedpods/v1", "kind: Network"]
        lines += [f'metadata: {{name: {self.name}, founder: "{self.alice.address}"}}', "spec:", "  members:"]
        lines.append(f'    - {{address: "{self.alice.address}", role: owner}}')
        for who, role in ((self.bob, "operator"), (self.eve, "viewer")):
            card = self.alice.folder / f"{who.address}.card"
            if not card.exists():
                card.write_text(who.run("network", "card").json["card"])
            lines.append(f'    - {{address: "{who.address}", role: {role}, card: {card.name}}}')
        lines += ["  templates:", f"    hello: {{pod: {self.template}, values: {{mark: 7}}}}", "  nodes:"]
        for node in nodes:
            called, cluster = node.split()
            if called == "b":
                place = f"placement: {{provider: {self.people.named[1].partition('=')[2]}}}"
                lines.append(f"    - {{name: b, template: hello, {place}, dependsOn: [a]}}")
                continue
            lines.append(f"    - {{name: {called}, pod: {self.pod}, cluster: {cluster}}}")
        file = self.alice.folder / f"{self.name}-{len(nodes)}.yaml"
        file.write_text("\n".join([*lines, ""]))
        return file

    def start(self, who: Publisher, verb: str, *words: str) -> "subprocess.Popen[str]":
        return who.start("network", verb, *words, *self.clusters, "-o", "json")

    def run(self, who: Publisher, verb: str, *words: str) -> Json:
        return finish(self.start(who, verb, *words), 0).json

    def generation(self) -> int:
        """Of the copy that counts in the first cluster."""
        return stored.from_bytes(self.people.secret(self.name, 1)[1], LEASE_MS).copy.current.generation

    def sent(self) -> int:
        """Transactions of Alice's so far."""
        return int(str(self.bank.rpc("eth_getTransactionCount", self.alice.address, "latest")), 16)

    def left(self) -> list[str]:
        """What the clusters still keep of the network."""
        listed = [
            self.people.pair.kubectl("-n", SYSTEM, "get", "secrets,leases", "-o", "name", index=index)
            for index in (1, 2)
        ]
        return [line for line in " ".join(listed).split() if f"network-{self.name}-" in line]


def test_a_network_from_connect_to_delete(people: People) -> None:
    """Killed in the middle and gone on with; seen from another machine; refused to a viewer; gone."""
    shop = Applied(people)
    file = str(shop.file)
    assert shop.run(shop.alice, "connect", shop.name)["begun"] is True
    killed = shop.start(shop.alice, "apply", file)
    until("node a serves, and b is on its way", lambda: shop.generation() >= 5)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    going_on = shop.run(shop.alice, "apply", file, "--wait", "1m")
    assert [(one["doing"], one["node"]) for one in going_on["nodes"]] == [("go on", "b")]

    sent = shop.sent()
    again = shop.run(shop.alice, "apply", file)
    assert (again["changes"], again["generation"]) == (0, going_on["generation"])
    assert shop.sent() == sent

    more = str(shop.write("a k1", "b k2", "c k1"))
    called = f"{shop.alice.address}/{shop.name}"
    mine, bobs, refused, status, eves = (
        finish(process, code).json
        for process, code in [
            (shop.start(shop.alice, "plan", more), 10),
            (shop.start(shop.bob, "plan", more), 10),
            (shop.start(shop.eve, "apply", more), 6),
            (shop.start(shop.alice, "status", called), 0),
            (shop.start(shop.eve, "status", called), 0),
        ]
    )
    assert mine["nodes"] == bobs["nodes"]
    assert [one["node"] for one in mine["nodes"]] == ["c"]
    effects = {one["node"]: one["effect"] for one in mine["outlook"]}
    assert effects == {"a": "unchanged", "b": "unchanged", "c": "create"}
    assert all(float(one["peak_hour"]) > 0 for one in mine["outlook"])
    assert refused["error"]["rule"] == "role"
    assert {node: (one["cluster"], one["phase"], one["sound"]) for node, one in status["nodes"].items()} == {
        "a": ("k1", "started", True),
        "b": ("k2", "started", True),
    }
    assert eves["nodes"]["a"]["url"] == status["nodes"]["a"]["url"]
    assert eves["nodes"]["a"]["live"] is None
    spaces = [one["live"]["namespace"] for one in status["nodes"].values()]
    deployed = json.loads(people.pair.kubectl("-n", spaces[1], "get", "deployments", "-o", "json", index=2))
    (container,) = deployed["items"][0]["spec"]["template"]["spec"]["containers"]
    assert {"name": "WHO", "value": "b 7"} in container["env"]

    assert shop.run(shop.alice, "delete", shop.name)["removed"] == ["a", "b"]
    until("no cluster keeps anything of it", lambda: shop.left() == [])
    for index, space in enumerate(spaces, 1):
        until(
            f"{space} is gone",
            lambda index=index, space=space: (
                people.pair.kubectl("get", "ns", space, "--ignore-not-found", "-o", "name", index=index) == ""
            ),
        )


@pytest.mark.soak
def test_a_daemon_that_is_killed_knows_its_leases_again(people: People) -> None:
    network = name()
    holder = people.held(network)
    daemons.restart(people.pair)
    tell(holder)
    assert said(holder) in ("written 1", "refused lease-lost")
    assert said(people.start(network)).startswith("written ")
    assert people.verb("state", "compare", network=network)["difference"] == ""


@pytest.mark.soak
def test_nodes_call_each_other_and_follow_when_one_moves(people: People) -> None:
    nodes = CallingNodes(people.pair, people.person, people.named, name())
    nodes.apply()
    for node, other in OTHER.items():
        until(f"{node} has the address", lambda n=node, o=other: nodes.file_of(n) == nodes.published(o))
        until(f"{node} calls {other} by its name", lambda n=node: nodes.calls(n))
    uid, address, taken = nodes.uid("a"), nodes.address_of_name("a"), nodes.taken("a")
    before = nodes.move("b")
    nodes.apply(b="anew")
    assert nodes.published("b") != before
    until("a calls b at its new port", lambda: nodes.calls("a"))
    assert (nodes.uid("a"), nodes.address_of_name("a")) == (uid, address)
    assert nodes.taken("a") == [*taken, nodes.published("b")], "its hook was run once, with the new file"
    people.verb("network", "delete", network=nodes.name)
