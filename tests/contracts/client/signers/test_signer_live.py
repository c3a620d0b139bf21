# SPDX-License-Identifier: Apache-2.0
"""On a real chain a signer outside the process does all that a key in it does, and nothing without it."""

import secrets

import pytest
import trio

from tests.contracts.conftest import real_chain
from tests.contracts.node.anvil import FUNDED_KEY
from tests.fakes.chain.signer_device import SignerDevice, refusing
from trustedpods.contracts.client.signers.external import ExternalSigner
from trustedpods.contracts.client.signers.signer import LocalKey
from trustedpods.contracts.client.signers.wire import SignerWire
from trustedpods.contracts.terms import Terms, prices_of
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address, PodRef
from trustedpods.protocol.units import Usage

pytestmark = pytest.mark.live

OWNER = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
METER = Address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
LONG_S = 60.0
TERMS = Terms.for_peak(prices_of([0, 0, 1, 0, 0]), Usage(storage_mib_s=10), unlock_s=60, claim_interval_s=1)


@pytest.fixture
def device(tmp_path):
    with SignerDevice(tmp_path / "signer.ipc", secrets.token_bytes(32)).running() as running:
        yield running


@pytest.fixture
async def chain(anvil, device):
    """A market whose tokens and coin the device has."""
    async with await real_chain(anvil, 6) as opened:
        await opened.mint(FUNDED_KEY, device.address, 10**9)
        await opened.send_gas(FUNDED_KEY, device.address, 10**18)
        yield opened


async def test_a_device_opens_funds_and_leaves_a_channel(chain, anvil, device):
    signer = ExternalSigner(SignerWire(device.path, LONG_S), device.address)
    ref = PodRef(OWNER, signer.address, secrets.token_bytes(32))
    await chain.open_with_permit(signer, ref, METER, TERMS, 1_000)
    await chain.top_up(signer, OWNER, ref.channel, 500)
    await chain.unlock(signer, OWNER, ref.salt)
    anvil.pass_time(61)
    assert (await chain.close(signer, OWNER, ref.salt)).moved == 1_500
    asked = [one["method"].removeprefix("account_sign") for one in device.asked]
    assert asked == ["TypedData", "Transaction", "TypedData", "Transaction", "Transaction", "Transaction"]


async def test_what_it_refuses_takes_no_nonce_and_the_next_goes_through(chain, device):
    signer = ExternalSigner(SignerWire(device.path, LONG_S), device.address)
    device.answer = refusing
    with pytest.raises(Refused, match="request denied"):
        await chain.send_tokens(signer, OWNER, 7)
    assert await chain.resume(signer) == []
    device.answer = None
    before = await chain.token_balance(OWNER)
    await chain.send_tokens(signer, OWNER, 7)
    assert await chain.token_balance(OWNER) == before + 7
    nonces = [int(one["params"][0]["nonce"], 16) for one in device.asked]
    assert nonces == [0, 0]


async def test_a_local_key_is_a_signer_too(chain):
    assert (await chain.send_tokens(LocalKey(FUNDED_KEY), OWNER, 0)).gas_used > 0
    assert await chain.has_code(chain.market.token)
    assert not await chain.has_code(OWNER)


async def test_who_waits_for_a_device_may_leave_and_comes_again(chain, device):
    signer = ExternalSigner(SignerWire(device.path, LONG_S), device.address)
    device.holds.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(chain.send_tokens, signer, OWNER, 7)
        while not device.asked:
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    device.holds.set()
    assert await chain.resume(signer) == []
    assert (await chain.send_tokens(signer, OWNER, 7)).gas_used > 0
