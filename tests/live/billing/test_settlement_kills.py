# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""A settling process killed at its crash points, and blocks taken back under it, on a real chain.

`tests/provider/billing/test_settlement.py` has every point over fakes; here are the commits of the
store and the way of the transaction, with processes that die and an anvil that forgets blocks.
"""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest
import trio

from tests.contracts.node.anvil import FUNDED_KEY, running_anvil
from tests.fakes.provider.records import pod_record
from tests.fakes.provider.world import config_of
from tests.live.clients.settlement_process import Told
from trustedpods.contracts.client import Chain
from trustedpods.contracts.deploy import deploy
from trustedpods.contracts.eip712 import address_of
from trustedpods.contracts.terms import Terms, due
from trustedpods.protocol.ids import PodRef
from trustedpods.protocol.units import Usage
from trustedpods.provider.core.metering import Run
from trustedpods.provider.core.pod import ChannelFact, Phase
from trustedpods.provider.store import claims, ledger, pods

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

OWNER = bytes([201]) * 32
OPERATOR = bytes([202]) * 32
DEPOSIT = 10**9
GAS = hex(10**19)


@dataclass
class Market:
    """An anvil with three funded channels, and a provider's folder as it was before any claim."""

    anvil: object
    told: Told
    records: list
    opened: list
    template: Path
    snapshot: str

    def rewind(self):
        """The chain as it was before any claim."""
        assert self.anvil.rpc("evm_revert", self.snapshot) is True
        self.snapshot = self.anvil.rpc("evm_snapshot")

    def fresh(self, name):
        """A case of its own: the folder and the chain from before."""
        self.rewind()
        folder = self.template.parent / name
        shutil.copytree(self.template, folder)
        return replace(self.told, folder=str(folder))


def run(told, killed=False):
    """One process; the names of its points, or nothing when it was killed."""
    file = Path(told.folder) / "told.json"
    file.write_text(json.dumps(asdict(told)))
    argv = [sys.executable, "-m", "tests.live.clients.settlement_process", str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == (-signal.SIGKILL if killed else 0), done.stderr
    return [] if killed else json.loads(done.stdout)


async def prepare(anvil, folder, database=None):
    for key in (OWNER, OPERATOR):
        anvil.rpc("anvil_setBalance", address_of(key), GAS)
    market = await deploy(anvil.url, FUNDED_KEY, 6)
    contracts = [market.chain_id, market.payments, market.registry, market.token]
    told = Told(anvil.url, contracts, address_of(OWNER), OPERATOR.hex(), str(folder), 0, database=database)
    meter, records, opened = told.keys.meter_address, [], []
    async with Chain(anvil.url, market) as chain, told.open_store() as store:
        prices = config_of(folder, chain, told.owner).prices
        terms = Terms.for_peak(prices, Usage(10_000, 10_000, 1000), unlock_s=60, claim_interval_s=50)
        for number in range(3):
            key = bytes([number + 1]) * 32
            anvil.rpc("anvil_setBalance", address_of(key), GAS)
            await chain.mint(FUNDED_KEY, address_of(key), DEPOSIT)
            ref = PodRef(told.owner, address_of(key), bytes([number]) * 32)
            await chain.open_with_permit(key, ref, meter, terms, DEPOSIT)
            channel = await chain.channel(told.owner, ref.channel)
            record = pod_record(
                ref=ref,
                boot_id=told.keys.boot_id,
                namespace=f"tp-{number}",
                phase=Phase.REMOVING if number == 2 else Phase.SERVING,
                statement=b"signed",
                terms=terms.pack(),
                meter=meter,
                chain=ChannelFact(DEPOSIT, channel.up_to, 0),
            )
            await store.write(pods.save, record)
            ran = Run(f"uid-{number}", channel.up_to + 5, channel.up_to + 60, 100 * (number + 1), 64, 0)
            await store.write(ledger.record_run, record.channel, record.namespace, ran)
            records.append(record)
            opened.append(channel.up_to)
        anvil.pass_time(100)
        await trio.sleep(1.2)
        told = replace(told, now=(await chain.head()).time)
    return Market(anvil, told, records, opened, folder, anvil.rpc("evm_snapshot"))


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    with running_anvil("--block-time", "1") as anvil:
        yield trio.run(prepare, anvil, tmp_path_factory.mktemp("settling") / "before")


async def paid_once(market, told):
    """What the provider is owed is what the leaves cost, these are whole, and the rest is untouched."""
    async with told.chain() as chain, told.open_store() as store:
        total = 0
        found = await chain.channels(told.owner, [record.channel for record in market.records])
        for record, opened, channel in zip(market.records, market.opened, found, strict=True):
            leaves = await store.read(claims.leaves, record.channel, record.namespace, 0)
            assert [leaf.from_ for leaf in leaves] == [opened, *(leaf.up_to for leaf in leaves[:-1])]
            prices = Terms.unpack(record.terms).prices
            cost = sum(due(Usage(*leaf.usage), prices) for leaf in leaves)
            assert sum(leaf.usage[0] for leaf in leaves) == 55 * 100 * (market.records.index(record) + 1)
            assert await store.read(claims.paid_in_life, record.channel, record.namespace) == cost
            for leaf in leaves:
                assert leaf.transaction in {
                    one.tx_hash for one in await chain.submitted(told.owner, leaf.root)
                }
            if channel is None:
                closed = await chain.closed(told.owner, record.channel)
                assert closed.refund == DEPOSIT - cost
            else:
                assert channel.left == DEPOSIT - cost
                assert channel.up_to == leaves[-1].up_to
            total += cost
        assert await chain.owed(told.owner) == total > 0
        assert found[-1] is None
        assert await store.read(claims.open_claim) is None


def checked(market, told):
    trio.run(paid_once, market, told)


@pytest.fixture(scope="module")
def names(market):
    """All points of one undisturbed round."""
    told = market.fresh("recorded")
    found = run(told)
    checked(market, told)
    return found


def way(names):
    """Each commit of the store and the transaction, before and after, as numbers of points."""
    wanted = ("store.write.", "chain.submit_usage_for")
    return [number for number, name in enumerate(names) if name.startswith(wanted)]


def few(names):
    """Around the transaction, and behind the commits before and after it: what `make test` has time for."""
    wanted = (
        "store.write.save_claim left",
        "store.write.save_unfinished entered",
        "store.write.save_unfinished left",
        "chain.submit_usage_for entered",
        "chain.submit_usage_for left",
        "store.write.settle_claim left",
    )
    return [names.index(name) for name in wanted]


@pytest.mark.parametrize("which", [few, pytest.param(way, marks=pytest.mark.soak)])
def test_a_killed_process(market, names, which):
    for number in which(names):
        told = market.fresh(f"{which.__name__}-{number}")
        run(replace(told, stop_at=number), killed=True)
        run(told)
        checked(market, told)


@pytest.mark.parametrize(
    "point", ["chain.submit_usage_for left", "store.write.settle_claim left"], ids=["mined", "recorded"]
)
def test_a_killed_process_and_blocks_that_never_were(market, names, point):
    told = market.fresh(f"reorganised-{names.index(point)}")
    run(replace(told, stop_at=names.index(point)), killed=True)
    market.rewind()
    run(told)
    checked(market, told)


@pytest.mark.soak
@pytest.mark.parametrize("lost", [False, True], ids=["kept", "lost"])
@pytest.mark.parametrize("point", ["store.write.save_unfinished left", "chain.submit_usage_for left"])
def test_a_key_that_was_changed_while_its_claim_was_under_way(market, names, point, lost):
    """The claim lands by the former key's transaction alone, also where that key is gone."""
    told = market.fresh(f"changed-{names.index(point)}-{lost}")
    run(replace(told, stop_at=names.index(point)), killed=True)
    following = bytes([203]) * 32
    market.anvil.rpc("anvil_setBalance", address_of(following), GAS)
    sent = market.anvil.rpc("eth_getTransactionCount", address_of(following), "latest")
    for name, text in (("", following.hex()), (".former", address_of(OPERATOR) if lost else OPERATOR.hex())):
        file = told.key_file.with_name("operator.key" + name)
        file.touch(0o600)
        file.write_text(text)
    run(replace(told, operator_key=following.hex(), coin_moves=not lost))
    checked(market, told)
    assert market.anvil.rpc("eth_getTransactionCount", address_of(following), "latest") == sent
    had, has = int(GAS, 16), int(market.anvil.rpc("eth_getBalance", address_of(following), "latest"), 16)
    assert has == had if lost else has > 1.9 * had
