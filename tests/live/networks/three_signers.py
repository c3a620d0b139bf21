# SPDX-License-Identifier: Apache-2.0
"""The shipped signing nodes of three owners: each with a key, an empty home, a folder and one cluster."""

import json
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from tests.live.clients.publisher import Json, Publisher, finish
from tests.live.examples.shipped import script, ship
from tests.live.examples.signed_rounds import Round, latest_round
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.money import Bank
from trustedpods.localnet.market import accounts
from trustedpods.localnet.network import NAMESPACES, entered

NETWORK = "signers"
FILE = f"{NETWORK}.yaml"
SDK = 8080
ANSWER_S = 10.0
_BEGIN = "-----BEGIN CERTIFICATE-----"


class LinkedOwner:
    """One owner, called *who* by the others: it commands its node in the cluster *index*, and no other."""

    network, node = NETWORK, "signer"
    example, images, script = "signers-three-orgs", ("drand-tls", "postgres"), "signers.py"

    def __init__(self, pair: LiveLocalnet, folder: Path, who: str, index: int) -> None:
        folder.mkdir()
        self.pair, self.who, self.index, self.folder = pair, who, index, folder
        self.person = Publisher(pair, Bank(pair).new_account(folder), folder)
        provider = accounts.address(accounts.owner_key(pair.cluster(index)))
        self._cluster = f"--cluster=k1={provider}/1"
        ship(self.person, self.example, self.images)

    @property
    def file(self) -> str:
        """Of its network, in its folder."""
        return f"{self.network}.yaml"

    def begin(self, *words: str) -> None:
        """Its files, and its node, which is linked to nobody."""
        script(self.person, self.script, "files", self.who, *words)
        self.run("connect", self.network)
        self.apply()

    def run(self, verb: str, *words: str) -> Json:
        """`trustedpods network` with this owner's cluster."""
        return self.person.run("network", verb, *words, self._cluster).json

    def text(self, verb: str, *words: str) -> str:
        """What the command prints for other owners."""
        return finish(self.person.start("network", verb, *words, self._cluster), 0).out

    def link(self, exports: dict[str, str]) -> None:
        """Take what the others sent of their nodes, and tell the own one."""
        for who, text in exports.items():
            if who != self.who:
                (self.folder / f"{who}.export").write_text(text)
                self.run("import", self.network, f"{who}.export", "--as", who)
        self.apply()

    def apply(self) -> None:
        """Its file."""
        self.run("apply", self.file)

    @property
    def namespace(self) -> str:
        """Where its node's pod is."""
        return str(self._status["live"]["namespace"])

    def replicas(self, namespace: str) -> list[Json]:
        """What Kubernetes says of those in a node's namespace."""
        listed = self.pair.kubectl("-n", namespace, "get", "pods", "-o", "json", index=self.index)
        return list(json.loads(listed)["items"])

    def endpoint(self, service: str) -> str:
        """Where its provider publishes a service of its node; of one over HTTP, without TLS."""
        ends = self.run("endpoints", self.network)["endpoints"]
        urls = [str(one["url"]) for one in ends if (one["node"], one["service"]) == (self.node, service)]
        (url,) = [one for one in urls if not one.startswith("https:")]
        return url

    @property
    def _status(self) -> Json:
        return dict(self.run("status", self.network)["nodes"][self.node])


Owner = TypeVar("Owner", bound=LinkedOwner)


def at_once(owners: list[Owner], work: Callable[[Owner], object]) -> None:
    """The same by each owner, side by side."""
    with ThreadPoolExecutor(len(owners)) as pool:
        list(pool.map(work, owners))


def link(owners: list[Owner]) -> None:
    """What each signed of its node goes to all others."""
    exports = {one.who: one.text("export", one.file) for one in owners}
    at_once(owners, lambda one: one.link(exports))


class Signer(LinkedOwner):
    """An owner of drand, with a TLS front before it."""

    def step(self, verb: str, *words: str) -> None:
        """A step in the making of the key, at the own node."""
        script(self.person, self.script, verb, str(self._status["pod"]), *words)

    def replica(self, namespace: str) -> Json:
        """What Kubernetes says of the one replica; {} while there is none."""
        found = self.replicas(namespace)
        return dict(found[0]) if found else {}

    def bundle(self, namespace: str) -> list[str]:
        """The CA certificates that drand has, where its replica is ready."""
        statuses = self.replica(namespace).get("status", {}).get("containerStatuses", [])
        if not statuses or not all(one["ready"] for one in statuses):
            return []
        words = ("-n", namespace, "exec", "pod-0", "-c", "drand", "--", "cat", "/peers/peers.pem")
        try:
            text = self.pair.kubectl(*words, index=self.index)
        except AssertionError:  # it is made anew at this moment
            return []
        return [_BEGIN + part for part in text.split(_BEGIN)[1:]]

    def latest(self, namespace: str) -> Round | None:
        """Its node's latest round; None while it has none."""
        address = self.replica(namespace).get("status", {}).get("podIP")
        return None if address is None else latest_round(self._place, address, SDK)

    def front(self) -> tuple[str, int]:
        """Where its provider publishes the TLS front."""
        parts = urlsplit(self.endpoint("mpc"))
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def greet(self, place: tuple[str, int], bundle: list[str], name: str) -> None:
        """Call a node by TLS, as who stands at this owner's cluster; ssl.SSLError where it is not *name*."""
        context = ssl.create_default_context(cadata="\n".join(bundle))
        with entered(self._place):
            made = socket.create_connection(place, ANSWER_S)
        with made, context.wrap_socket(made, server_hostname=name):
            pass

    @property
    def _place(self) -> Path:
        return NAMESPACES / str(self.pair.cluster(self.index).namespace)
