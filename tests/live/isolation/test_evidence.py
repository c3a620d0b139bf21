# SPDX-License-Identifier: Apache-2.0
"""Bad evidence: `trustedpods deploy` ends with code 9, names the check, and has given nothing away.

Forged and foreign evidence comes from the market's own daemon, restarted with another simulated
machine. A stale nonce comes from a provider that recorded an honest answer and repeats it.
"""

from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.fakes.chain.chain import FakeChain
from tests.fakes.provider.peer import ProviderPeer
from tests.live.clients import daemons
from tests.live.clients.publisher import Deployed, Publisher, Said
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.capture import capture, flows
from tests.live.observers.money import GAS_WEI, Bank
from trustedpods.contracts.client import Chain
from trustedpods.localnet.folders import replace_file
from trustedpods.localnet.market import accounts
from trustedpods.localnet.market.files import machine_file, read_market
from trustedpods.protocol.attestation.profile import present
from trustedpods.protocol.attestation.report_data import report_data
from trustedpods.protocol.attestation.simulated import SimulatedRoot
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import ExitCode
from trustedpods.protocol.ids import Address
from trustedpods.protocol.net import open_host
from trustedpods.publisher.context import read_market as read_market_file
from trustedpods.publisher.market.market import open_market
from trustedpods.publisher.market.session import attest_row

pytestmark = pytest.mark.live

MOST_BEFORE_PROOF = 2048
"""Bytes that a client may send before it has seen evidence: Noise, yamux and a nonce need 500; an
`admit`, the least that could follow, has a sealed part of 1.1 KiB and a key of 1.2 KiB."""

ENOUGH_FOR_A_POD = 512 * 1024


@dataclass(frozen=True)
class Before:
    """What must be the same after a deploy that was refused."""

    nonce: object
    coin: object
    tokens: int
    block: int

    @classmethod
    def of(cls, market: LiveLocalnet, person: Address) -> "Before":
        bank = Bank(market)
        head = int(str(bank.rpc("eth_blockNumber")), 16)
        nonce, coin = (
            bank.rpc(f"eth_{what}", person, "latest") for what in ("getTransactionCount", "getBalance")
        )
        return cls(nonce, coin, bank.balance(person), head)

    def check(self, market: LiveLocalnet, person: Address) -> None:
        """Nothing was sent by the person, waits to be, or was paid; nobody but the provider wrote at all."""
        bank, now = Bank(market), Before.of(market, person)
        assert (now.nonce, now.coin, now.tokens) == (self.nonce, self.coin, self.tokens)
        assert bank.rpc("eth_getTransactionCount", person, "pending") == self.nonce
        assert bank.ask(lambda chain: chain.opened_by(person)) == []
        operator = accounts.address(accounts.operator_key(market.cluster()))
        assert senders(bank, self.block + 1, now.block) <= {operator.lower()}


def senders(bank: Bank, first: int, last: int) -> set[str]:
    """Who sent the transactions of these blocks."""
    found: set[str] = set()
    for number in range(first, last + 1):
        block: Any = bank.rpc("eth_getBlockByNumber", hex(number), True)
        found |= {str(transaction["from"]).lower() for transaction in block["transactions"]}
    return found


def sent_to(path: Path, port: int) -> int:
    """Bytes that went to a port."""
    return sum(len(flow.data) for flow in flows(path) if flow.target[1] == port)


@pytest.fixture
def newcomer(market: LiveLocalnet, tmp_path: Path) -> Publisher:
    """Somebody who has paid nobody yet."""
    return Publisher(market, Bank(market).new_account(tmp_path), tmp_path)


def refused(market: LiveLocalnet, person: Publisher, *words: str) -> Said:
    """A deploy that must end with code 9 and leave the chain alone."""
    file = person.manifest("hello", unique("evidence"))
    before = Before.of(market, person.address)
    said = person.run("deploy", file.name, *words, code=ExitCode.EVIDENCE)
    before.check(market, person.address)
    return said


def check_named(said: Said, rule: str) -> None:
    """The check that failed is named to people and to programs."""
    assert f"[{rule}]" in said.err
    assert said.json["error"]["rule"] == rule


class Chip:
    """The simulated machine of the market's daemon, which a test may change."""

    def __init__(self, market: LiveLocalnet) -> None:
        self._market = market
        self._own = machine_file(market.state).read_bytes()
        self.changed = False

    def replace(self, root: SimulatedRoot) -> None:
        self.changed = True
        self._install(root.machine_pem.encode())

    def restore(self) -> None:
        """Put its own back, and wait until the daemon has it."""
        if self.changed:
            self.changed = False
            self._install(self._own)

    def _install(self, pem: bytes) -> None:
        replace_file(machine_file(self._market.state), pem, 0o600)
        daemons.restart(self._market)


@pytest.fixture(scope="module")
def chip(market: LiveLocalnet) -> Iterator[Chip]:
    made = Chip(market)
    yield made
    made.restore()


def root_of(market: LiveLocalnet, *, foreign: bool) -> SimulatedRoot:
    """A root of our own making: for this market, or honestly for another one."""
    made = read_market(market.state)
    chain_id = made.chain_id + int(foreign)
    return SimulatedRoot.make(chain_id, made.registry, made.payments, datetime.now(UTC))


@pytest.mark.parametrize(("foreign", "rule"), [(False, "chain"), (True, "foreign-localnet")])
def test_evidence_under_another_root(
    market: LiveLocalnet, newcomer: Publisher, chip: Chip, tmp_path: Path, foreign: bool, rule: str
) -> None:
    chip.replace(root_of(market, foreign=foreign))
    node = market.cluster()
    with capture(node.veth, tmp_path / "node.pcap", node.node_ip) as path:
        said = refused(market, newcomer)
    check_named(said, rule)
    assert 0 < sent_to(path, node.ports.peer) < MOST_BEFORE_PROOF


def test_the_same_daemon_with_its_own_machine_gets_the_pod(
    market: LiveLocalnet, newcomer: Publisher, chip: Chip, tmp_path: Path
) -> None:
    """The control: what the captures above would have held, had anything been sent."""
    chip.restore()
    node, file = market.cluster(), newcomer.manifest("hello", unique("evidence"))
    with capture(node.veth, tmp_path / "node.pcap", node.node_ip) as path:
        deployed: Deployed = newcomer.deploy(file)
    assert deployed.result["trust"]["simulated"]
    assert sent_to(path, node.ports.peer) > deployed.result["sent"]["sent_bytes"] > ENOUGH_FOR_A_POD
    newcomer.close()


class Replayer(ProviderPeer):
    """Proves itself once, and then repeats that, whatever it is asked."""

    recorded = None

    async def _attest(self, stream, nonce):
        if self.recorded is None:
            evidence = self.signer.sign(report_data(nonce, self.binding))
            self.recorded = present(nonce, evidence, self.binding, self.profile, self.reply_key)
        answer = self.recorded
        if "claims-the-new-nonce" in self.faults:
            answer = present(nonce, answer.evidence, self.binding, self.profile, self.reply_key)
        await stream.send(encode(answer))


@asynccontextmanager
async def replayer(market: LiveLocalnet, *faults: str):
    """A provider with a row of its own in the market, that has proved itself once already."""
    root = SimulatedRoot("", machine_file(market.state).read_text())
    peer = Replayer(FakeChain(read_market(market.state)), root, faults=faults)
    await trio.to_thread.run_sync(Bank(market).rpc, "anvil_setBalance", peer.owner, hex(GAS_WEI))
    async with peer.serve(), Chain(market.settings.rpc, read_market(market.state)) as chain:
        await chain.register(peer.owner_key, peer.row)
        try:
            await prove(market, peer)
            yield peer
        finally:
            await chain.remove(peer.owner_key, peer.daemon)


async def prove(market: LiveLocalnet, peer: Replayer) -> None:
    """What it proves is good, the first time."""
    async with (
        open_market(read_market_file(market.market_file)) as client_market,
        open_host(None, []) as host,
        attest_row(host, peer.row, client_market.policy("sealed")) as proven,
    ):
        assert proven.verdict.simulated


@pytest.mark.parametrize(
    ("fault", "rule"), [("repeats-all", "nonce"), ("claims-the-new-nonce", "report-data")]
)
async def test_an_answer_to_an_earlier_nonce(
    market: LiveLocalnet, newcomer: Publisher, tmp_path: Path, fault: str, rule: str
) -> None:
    async with replayer(market, fault) as peer:
        port = int(peer.row.endpoint.split("/")[4])
        with capture("lo", tmp_path / "lo.pcap") as path:
            said = await trio.to_thread.run_sync(
                refused, market, newcomer, "--provider", f"{peer.owner}/{peer.daemon}"
            )
    check_named(said, rule)
    assert peer.log == ["attest", "attest"]
    assert 0 < sent_to(path, port) < MOST_BEFORE_PROOF
