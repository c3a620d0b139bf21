# SPDX-License-Identifier: Apache-2.0
"""The real Clef is asked in its own words: what it shows a person, and what comes back.

In the soak: Clef is built for it, which takes two minutes of a processor.
"""

import secrets

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


async def test_clef_signs_transactions_and_permits_and_takes_a_no(anvil, tmp_path):
    async with await real_chain(anvil, 6) as chain:
        with running_clef(tmp_path, secrets.token_bytes(32), chain.market.chain_id) as clef:
            await chain.mint(FUNDED_KEY, clef.address, 10**6)
            await chain.send_gas(FUNDED_KEY, clef.address, 10**18)
            signer = ExternalSigner(SignerWire(str(clef.socket), LONG_S), clef.address)
            await chain.send_tokens(signer, OWNER, 7)
            assert await chain.token_balance(OWNER) == 7
            ref = PodRef(OWNER, signer.address, secrets.token_bytes(32))
            await chain.open_with_permit(signer, ref, METER, TERMS, 1_000)
            assert [method for method, _ in clef.shown] == [
                "ui_approveTx",
                "ui_approveSignData",
                "ui_approveTx",
            ]
            clef.agrees = False
            with pytest.raises(Refused) as refused:
                await chain.send_tokens(signer, OWNER, 7)
            assert refused.value.rule == "signer-refused"
            assert await chain.token_balance(OWNER) == 7
