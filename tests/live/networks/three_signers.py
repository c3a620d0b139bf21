# SPDX-License-Identifier: Apache-2.0
"""The shipped signing nodes of three owners: each with a key, an empty home, a folder and one cluster."""

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.live.clients.publisher import Json, Publisher, finish
from tests.live.examples.chain_node import ask_http
from tests.live.examples.shipped import script, ship
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.money import Bank
from trustedpods.localnet.market import accounts
from trustedpods.localnet.network import NAMESPACES, entered

NETWORK = "signers"
FILE = f"{NETWORK}.yaml"
EXAMPLE = "signers-three-orgs"
IMAGES = ("drand-tls", "postgres")
SDK = 8080
ANSWER_S = 10.0
_BEGIN = "-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True)
class Round:
    """A round, and its signature."""

    number: int
    signature: str


class Signer:
    """One owner, called *who* by the others: it commands its node in the cluster *index*, and no other."""

    def __init__(self, pair: LiveLocalnet, folder: Path, who: str, index: int) -> None:
        folder.mkdir()
        self.pair, self.who, self.index, self.folder = pair, who, index, folder
        self.person = Publisher(pair, Bank(pair).new_account(folder), folder)
        provider = accounts.address(accounts.owner_key(pair.cluster(index)))
        self._cluster = f"--cluster=k{index}={provider}/1"
        ship(self.person, EXAMPLE, IMAGES)

    def begin(self) -> None:
        """Its files, and its node, which is linked to nobody."""
        script(self.person, "signers.py", "files", self.who)
        self.run("connect", NETWORK)
        self.run("apply", FILE)

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
                self.run("import", NETWORK, f"{who}.export", "--as", who)
        self.run("apply", FILE)

    def step(self, verb: str, *words: str) -> None:
        """A step in the making of the key, at the own node."""
        script(self.person, "signers.py", verb, str(self._node["pod"]), *words)

    @property
    def _node(self) -> Json:
        return dict(self.run("status", NETWORK)["nodes"]["signer"])

    @property
    def namespace(self) -> str:
        """Where its node's pod is."""
        return str(self._node["live"]["namespace"])

    def replica(self, namespace: str) -> Json:
        """What Kubernetes says of the one replica; {} while there is none."""
        listed = self.pair.kubectl("-n", namespace, "get", "pods", "-o", "json", index=self.index)
        found = json.loads(listed)["items"]
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

    def round(self, namespace: str, number: int | None = None) -> Round | None:
        """A round as this node has it, or its latest; None while it has none."""
        address = self.replica(namespace).get("status", {}).get("podIP")
        path = f"/public/{'latest' if number is None else number}"
        if address is None:
            return None
        try:
            told = json.loads(ask_http(self._place, address, SDK, path))
        except (OSError, AssertionError, http.client.HTTPException):
            return None
        return Round(int(told["round"]), str(told["signature"]))

    def endpoint(self) -> tuple[str, int]:
        """Where its provider publishes the TLS front."""
        ends = self.run("endpoints", NETWORK)["endpoints"]
        (url,) = [one["url"] for one in ends if one["service"] == "mpc"]
        parts = urlsplit(url)
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
