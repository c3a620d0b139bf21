# SPDX-License-Identifier: Apache-2.0
"""Markets for tests: real ones on anvil with tokens of 6 and 18 decimals, and the one in memory.

What is written against `chain`, `funded`, `deal` and `pass_time` runs on all three, so that the
fake cannot drift from the contract.
"""

import secrets
from dataclasses import dataclass
from fractions import Fraction

import pytest

from tests.contracts.node.anvil import FUNDED_KEY, running_anvil
from tests.fakes.chain.chain import FakeChain
from trustedpods.contracts.eip712 import address_of
from trustedpods.contracts.terms import Terms, prices_of
from trustedpods.protocol.ids import PodRef
from trustedpods.protocol.units import Usage

GAS = 10**18


@dataclass(frozen=True)
class Party:
    """A key with its address."""

    key: bytes

    @property
    def address(self):
        return address_of(self.key)


def new_party():
    return Party(secrets.token_bytes(32))


@pytest.fixture(scope="session")
def anvil():
    """Mines at once; tests that need a clock pass time by themselves."""
    with running_anvil() as node:
        yield node


async def real_chain(anvil, decimals):
    from trustedpods.contracts.client import Chain
    from trustedpods.contracts.deploy import deploy

    return Chain(anvil.url, await deploy(anvil.url, FUNDED_KEY, decimals))


@pytest.fixture(
    params=[
        pytest.param(6, marks=pytest.mark.live, id="6-decimals"),
        pytest.param(18, marks=pytest.mark.live, id="18-decimals"),
        pytest.param(None, id="fake"),
    ]
)
async def chain(request):
    if request.param is None:
        yield FakeChain()
        return
    async with await real_chain(request.getfixturevalue("anvil"), request.param) as door:
        yield door


@pytest.fixture
async def onchain(anvil):
    """A real market only."""
    async with await real_chain(anvil, 6) as door:
        yield door


@pytest.fixture
def pass_time(request, chain):
    if isinstance(chain, FakeChain):
        return chain.pass_time
    return request.getfixturevalue("anvil").pass_time


@pytest.fixture
def funded(request, chain):
    """Make a party with coin for gas and some tokens."""

    async def make(tokens=0):
        party = new_party()
        if isinstance(chain, FakeChain):
            chain.give(party.address, tokens)
            return party
        request.getfixturevalue("anvil").rpc("anvil_setBalance", party.address, hex(GAS))
        if tokens:
            await chain.mint(FUNDED_KEY, party.address, tokens)
        return party

    return make


@pytest.fixture
def terms():
    """One base unit a core-ms and a hundredth a MiB-s; room for 10 cores."""
    prices = prices_of([Fraction(1), Fraction(1, 100), Fraction(1, 10_000), Fraction(1, 7), Fraction(0)])
    peak = Usage(cpu_core_ms=10_000, memory_mib_s=4096)
    return Terms.for_peak(prices, peak, unlock_s=60, claim_interval_s=10)


@dataclass(frozen=True)
class Deal:
    """An open channel with everybody in it."""

    ref: PodRef
    publisher: Party
    owner: Party
    meter: Party
    operator: Party
    deposit: int

    @property
    def id(self):
        return self.ref.channel


@pytest.fixture
async def deal(chain, funded, terms):
    deposit = 10_000_000
    publisher, owner, operator, meter = await funded(3 * deposit), await funded(), await funded(), new_party()
    ref = PodRef(owner.address, publisher.address, secrets.token_bytes(32))
    await chain.open_with_permit(publisher.key, ref, meter.address, terms, deposit)
    return Deal(ref, publisher, owner, meter, operator, deposit)
