# SPDX-License-Identifier: Apache-2.0
"""People at networks of two clusters: processes of one key, and a network of pods with its team."""

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

from tests.live.clients.publisher import Json, Publisher, finish
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.money import Bank
from tests.paths import ROOT
from trustedpods.localnet.market import accounts
from trustedpods.protocol.networks.leases import LEASE_MS
from trustedpods.provider.networks import stored

SYSTEM = "trustedpods-system"
PROCESS_LIMIT_S = 120
SCRIPT_LIMIT_S = 300


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

    def in_line(self, network: str) -> bool:
        """Whether somebody waits for the network's leases."""
        status = self.verb("lock", "status", network=network)
        return any(one["waiting"] for one in status["clusters"].values())

    def run_script(self, script: str) -> None:
        """A shell script of this person's commands, which must all succeed."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = self.person.environment() | {"PATH": path}
        subprocess.run(["/bin/sh", "-c", script], env=environment, check=True, timeout=SCRIPT_LIMIT_S)

    def generation(self, network: str) -> int:
        """Of the copy that counts in the first cluster; 0 where nothing is kept."""
        names = self.pair.kubectl("-n", SYSTEM, "get", "secrets", "-o", "name")
        if f"/network-{network}-" not in names:
            return 0
        return stored.from_bytes(self.secret(network, 1)[1], LEASE_MS).copy.current.generation

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


def _with_values(spec: Json) -> None:
    spec["containers"][0]["env"] = [{"name": "WHO", "value": "${self.name} ${values.mark}"}]


class Applied:
    """A network of two pods in two clusters, its team, and a stranger, each with a key and a home."""

    def __init__(self, people: People) -> None:
        self.people, self.name, self.bank = people, name(), Bank(people.pair)
        self.alice, self._leased = people.person, False
        self.bob, self.eve = self._somebody("bob"), self._somebody("eve")
        self.carol = self._somebody("carol")
        self.pod = self.alice.manifest("hello", f"{self.name}-hello").name
        self.template = self.alice.manifest("hello", f"{self.name}-template", _with_values).name
        self.clusters = [part for one in people.named for part in ("--cluster", one)]
        self.file = self.write("a k1", "b k2")

    def had_lease(self) -> bool:
        """Whether it was seen with its Lease, at this look or at an earlier one."""
        self._leased = self._leased or f"/network-{self.name}-" in self.leases()
        return self._leased

    def _somebody(self, who: str) -> Publisher:
        folder = self.people.folder / f"{self.name}-{who}"
        folder.mkdir()
        return Publisher(self.people.pair, self.bank.new_account(folder), folder)

    def write(self, *nodes: str, bob: str = "operator") -> Path:
        """The file, with *nodes* as `NAME CLUSTER` and Bob's role; cards lie beside it.

        b is made from a template, begun after a, and goes to k2 because it asks for that provider.
        """
        lines = ["apiVersion: trustedpods/v1", "kind: Network"]
        lines += [f'metadata: {{name: {self.name}, founder: "{self.alice.address}"}}', "spec:", "  members:"]
        lines.append(f'    - {{address: "{self.alice.address}", role: owner}}')
        for who, role in ((self.bob, bob), (self.eve, "viewer")):
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
        file = self.alice.folder / f"{self.name}-{len(nodes)}-{bob}.yaml"
        file.write_text("\n".join([*lines, ""]))
        return file

    def start(self, who: Publisher, verb: str, *words: str) -> "subprocess.Popen[str]":
        return who.start("network", verb, *words, *self.clusters, "-o", "json")

    def run(self, who: Publisher, verb: str, *words: str) -> Json:
        return finish(self.start(who, verb, *words), 0).json

    def generation(self) -> int:
        """Of the copy that counts in the first cluster."""
        return self.people.generation(self.name)

    def check_that_a_stranger_sees_nothing(self, more: str, status: Json) -> None:
        for index in (1, 2):
            secret = self.people.secret(self.name, index)[1]
            told = (status["nodes"]["b"]["url"], status["nodes"]["b"]["pod"], "started", "network apply")
            assert not [one for one in told if one.encode() in secret], "sealed to the team"
        called = f"{self.alice.address}/{self.name}"
        asked = [self.start(self.carol, "status", called), self.start(self.carol, "apply", more)]
        assert [finish(one, 6).json["error"]["rule"] for one in asked] == ["member", "member"]

    def check_that_a_stranger_sees_its_name(self) -> None:
        listed = self.run(self.carol, "list")["clusters"]
        mine = {"founder": self.alice.address, "network": self.name}
        assert all(mine in one["networks"] for one in listed.values())

    def check_that_state_outlives_a_workload(self, namespace: str) -> None:
        self.people.pair.kubectl("delete", "ns", namespace, "--wait=false", index=2)
        kept, told = (
            finish(self.alice.start(*words, self.name, *self.clusters, "-o", "json"), 0).json
            for words in (("state", "show"), ("history",))
        )
        assert kept["difference"] == ""
        assert [one["verb"] for one in told["commands"]][:2] == ["network connect", "network apply"]

    def leases(self) -> str:
        """All Lease objects of networks in the first cluster."""
        return self.people.pair.kubectl("-n", SYSTEM, "get", "leases", "-o", "name")

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
