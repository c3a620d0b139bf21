# SPDX-License-Identifier: Apache-2.0
"""A market in memory with real libp2p, real evidence and real images."""

import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.fakes.chain.chain import FakeChain
from tests.fakes.images.oci_images import ImageFiles
from tests.fakes.provider.peer import ProviderPeer, make_root
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.sealing.requests import ChainContext, publisher_secret
from trustedpods.publisher.context import MarketFile
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount, OpenMarket
from trustedpods.publisher.market.session import Publisher
from trustedpods.publisher.market.timing import Timing
from trustedpods.publisher.pod import read_pod
from trustedpods.publisher.results.deployed import DeployProgress
from trustedpods.publisher.results.pods import DeleteProgress, VisitProgress
from trustedpods.publisher.verbs import pods
from trustedpods.publisher.verbs.deploy import DeployOptions, deploy

MANIFEST = """
apiVersion: trustedpods/v1
kind: Pod
metadata: {name: hello}
spec:
  containers:
    - name: hello
      image: oci-archive:hello.tar
      ports: [{containerPort: 8080}]
      volumeMounts: [{name: login, mountPath: /secrets}]
  volumes:
    - name: login
      secret: {files: {password: password.txt}}
  services:
    - {name: web, expose: http, ports: [{port: 80, targetPort: 8080}]}
"""
TOKEN = Token("TPT", 6)


class ListShow:
    def __init__(self):
        self.lines, self.warnings, self.bars = [], [], []

    def line(self, text):
        self.lines.append(text)

    def warning(self, text):
        self.warnings.append(text)

    def progress(self, name, done, total):
        self.bars.append((name, done, total))


@dataclass
class Bench:
    """One publisher in one market; `deploy` runs the verb, and keeps its journal and its progress."""

    folder: Path
    chain: FakeChain
    root: object
    key: bytes
    account: MarketAccount
    journals: list = field(default_factory=list)
    progress: DeployProgress | None = None

    def peer(self, *faults, **more):
        return ProviderPeer(self.chain, self.root, faults=faults, **more)

    def journal(self):
        self.journals.append(Journal(ListShow()))
        return self.journals[-1]

    async def deploy(self, name=None, trust=None, patience_s=0, **options):
        pod = read_pod(self.folder / "pod.yaml", self.folder / "cache", name, trust)
        self.progress = DeployProgress()
        wanted = DeployOptions(patience_s=patience_s, **options)
        return await deploy(wanted, self.account, pod, self.progress, self.journal())

    async def status(self, name="hello"):
        return await pods.status(self.account, name, VisitProgress(), self.journal())

    async def delete(self, name="hello", **options):
        wanted = pods.DeleteOptions(**options)
        return await pods.delete(self.account, name, DeleteProgress(), self.journal(), wanted)

    def wait(self, **limits):
        """From here on the publisher waits so long for others (`Timing`)."""
        timing = replace(self.account.timing, **limits)
        self.account = replace(self.account, publisher=replace(self.account.publisher, timing=timing))

    @property
    def last(self):
        return self.journals[-1]

    @property
    def address(self):
        return self.account.publisher.address

    def write_image(self, layers=(b"layer" * 1000,), **more):
        ImageFiles(layers=layers, **more).write_archive(self.folder / "hello.tar")


@pytest.fixture(scope="session")
def root():
    return make_root(FakeChain())


@pytest.fixture
def bench(tmp_path, monkeypatch, root):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return make_bench(tmp_path, root)


def make_bench(folder, root):
    """A publisher with a manifest in *folder*; what is kept for him lies below $HOME."""
    chain = FakeChain()
    key = secrets.token_bytes(32)
    chain.give(address_of(key), 10**9)
    market = chain.market
    file = MarketFile(
        path=folder / "market.toml",
        rpc="http://none.invalid",
        chain_id=market.chain_id,
        payments=market.payments,
        registry=market.registry,
        token=market.token,
        finality_blocks=0,
        simulated_root=root.chain_pem,
    )
    context = ChainContext(market.chain_id, market.payments)
    timing = Timing(reconnect_s=0.05)
    publisher = Publisher(address_of(key), key, publisher_secret(key), context, timing)
    made = Bench(folder, chain, root, key, MarketAccount(OpenMarket(file, chain, TOKEN), publisher))
    (folder / "pod.yaml").write_text(MANIFEST)
    (folder / "password.txt").write_text("marker-in-a-secret")
    made.write_image()
    return made
