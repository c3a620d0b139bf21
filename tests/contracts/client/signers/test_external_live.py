# SPDX-License-Identifier: Apache-2.0
"""The real Clef is asked in its own words: what it shows a person, and what comes back.

In the soak: Clef is built for it, which takes two minutes of a processor.
"""

import secrets
from contextlib import asynccontextmanager

import pytest

from tests.contracts.conftest import real_chain
from tests.contracts.node.anvil import FUNDED_KEY
from tests.contracts.node.clef import running_clef
from trustedpods.contracts.client.signers.external import ExternalSigner
from trustedpods.contracts.client.signers.wire import SignerWire
from trustedpods.contracts.terms import Terms, prices_of
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address, PodRef
from trustedpods.protocol.units import Usage

pytestmark = pytest.mark.soak

OWNER = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
METER = Address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
LONG_S = 60.0
TERMS = Terms.for_peak(prices_of([0, 0, 1, 0, 0]), Usage(storage_mib_s=10), unlock_s=60, claim_interval_s=1)


@pytest.fixture
async def chain(anvil):
    async with await real_chain(anvil, 6) as opened:
        yield opened


@asynccontextmanager
async def at_clef(chain, folder, *options):
    """A rich account of a running Clef: Clef itself, and who asks it."""
    with running_clef(folder, secrets.token_bytes(32), chain.market.chain_id, *options) as clef:
        await chain.mint(FUNDED_KEY, clef.address, 10**6)
        await chain.send_gas(FUNDED_KEY, clef.address, 10**18)
        yield clef, ExternalSigner(SignerWire(str(clef.socket), LONG_S), clef.address)


async def test_clef_signs_transfers_as_it_is_and_takes_a_no(chain, tmp_path):
    async with at_clef(chain, tmp_path) as (clef, signer):
        await chain.send_tokens(signer, OWNER, 7)
        await chain.send_gas(signer, OWNER, 1)
        assert await chain.token_balance(OWNER) == 7
        assert [method for method, _ in clef.shown] == ["ui_approveTx", "ui_approveTx"]
        clef.agrees = False
        with pytest.raises(Refused) as refused:
            await chain.send_tokens(signer, OWNER, 7)
        assert refused.value.rule == "signer-refused"
        assert await chain.token_balance(OWNER) == 7


async def test_clef_opens_no_channel_as_it_is(chain, tmp_path):
    """It refuses to sign calls that it does not know: why payers are asked for plain transfers."""
    async with at_clef(chain, tmp_path) as (_, signer):
        ref = PodRef(OWNER, signer.address, secrets.token_bytes(32))
        with pytest.raises(Refused, match="ABI signature could not be found"):
            await chain.open_with_permit(signer, ref, METER, TERMS, 1_000)


async def test_clef_signs_permits_and_openings_where_it_is_told_to(chain, tmp_path):
    async with at_clef(chain, tmp_path, "--advanced") as (clef, signer):
        ref = PodRef(OWNER, signer.address, secrets.token_bytes(32))
        await chain.open_with_permit(signer, ref, METER, TERMS, 1_000)
        assert [method for method, _ in clef.shown] == ["ui_approveSignData", "ui_approveTx"]
