# SPDX-License-Identifier: Apache-2.0
import secrets
from dataclasses import dataclass
from fractions import Fraction

import pytest

from tests.contracts.anvil import FUNDED_KEY, running_anvil
from trustedpods.contracts.client import Chain
from trustedpods.contracts.deploy import deploy
from trustedpods.contracts.terms import Terms, prices_of
from trustedpods.contracts.typed import address_of
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


@pytest.fixture(params=[6, 18])
async def market(anvil, request):
    return await deploy(anvil.url, FUNDED_KEY, request.param)


@pytest.fixture
async def chain(anvil, market):
    async with Chain(anvil.url, market) as door:
        yield door


@pytest.fixture
async def funded(anvil, chain):
    """Make a party with coin for gas and some tokens."""

    async def make(tokens=0):
        party = new_party()
        anvil.rpc("anvil_setBalance", party.address, hex(GAS))
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
