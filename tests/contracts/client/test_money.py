# SPDX-License-Identifier: Apache-2.0
"""What the payment contract can do beyond a channel's usual life; on a real node."""

import re
import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.conftest import GAS, new_party
from tests.contracts.node.anvil import FUNDED_KEY
from tests.contracts.node.faulty_proxy import faulty_proxy
from trustedpods.contracts import merkle
from trustedpods.contracts.client import Chain
from trustedpods.contracts.client.artifacts import artifact
from trustedpods.contracts.client.errors import refusal
from trustedpods.contracts.client.payments import Order
from trustedpods.contracts.eip712 import Domain, Voucher, sign_usage, sign_voucher
from trustedpods.contracts.usage import ItemFlags, UsageClaim, UsageItem
from trustedpods.protocol.errors import InsufficientFunds, LocalProtocolError, NetworkFailure, Refused
from trustedpods.protocol.ids import PodRef, keccak256
from trustedpods.protocol.units import Usage

OWNER, METER = new_party(), new_party()


@pytest.fixture
async def publisher(anvil, onchain):
    party = new_party()
    anvil.rpc("anvil_setBalance", party.address, hex(GAS))
    await onchain.mint(FUNDED_KEY, party.address, 10_000)
    return party


def order(terms, amount, salt=None):
    return Order(OWNER.address, METER.address, salt or secrets.token_bytes(32), terms, amount)


def refs(publisher, orders):
    return [PodRef(one.owner, publisher.address, one.salt).channel for one in orders]


async def lefts(chain, ids):
    return [found and found.left for found in await chain.channels(OWNER.address, ids)]


@pytest.mark.live
async def test_many_are_opened_at_once_or_none(onchain, publisher, terms):
    orders = [order(terms, amount) for amount in (10, 20, 30)]
    await onchain.open_many(publisher.key, orders)
    assert await lefts(onchain, refs(publisher, orders)) == [10, 20, 30]
    assert await onchain.allowance(publisher.address) == 0
    more = [order(terms, 5), orders[0]]
    with pytest.raises(Refused) as live:
        await onchain.open_many(publisher.key, more)
    assert (live.value.rule, "top it up" in live.value.hint) == ("Live", True)
    assert await lefts(onchain, refs(publisher, more)) == [None, 10]


@pytest.mark.live
async def test_a_standing_allowance_opens_without_another_signature(onchain, publisher, terms):
    await onchain.approve(publisher.key, 100)
    first, second = order(terms, 60), order(terms, 60)
    await onchain.open_channel(publisher.key, first)
    assert await onchain.allowance(publisher.address) == 40
    await onchain.open_channel(publisher.key, second)  # 40 are not enough: approved anew
    assert await lefts(onchain, refs(publisher, [first, second])) == [60, 60]


@pytest.mark.live
async def test_a_token_without_permits_is_approved_first(anvil, onchain, publisher, terms):
    """The test token with its permit functions cut out of the code, as many tokens have none."""
    token = onchain.market.token
    code = bytes.fromhex(anvil.rpc("eth_getCode", token, "latest")[2:])
    for signature in (b"nonces(address)", b"permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"):
        selector = b"\x63" + keccak256(signature)[:4]  # PUSH4, as the dispatcher compares it
        assert selector in code
        code = code.replace(selector, b"\x63\xff\xff\xff\xff")
    anvil.rpc("anvil_setCode", token, "0x" + code.hex())
    opened = order(terms, 70)
    ref = PodRef(OWNER.address, publisher.address, opened.salt)
    await onchain.open_with_permit(publisher.key, ref, METER.address, terms, 70)
    await onchain.top_up(publisher.key, OWNER.address, ref.channel, 7)
    assert await lefts(onchain, [ref.channel]) == [77]
    assert await onchain.allowance(publisher.address) == 0
    with pytest.raises(InsufficientFunds, match="holds 9923"):
        await onchain.top_up(publisher.key, OWNER.address, ref.channel, 10_000)


@pytest.mark.live
async def test_a_token_that_does_not_tell_its_domain_is_still_permitted(anvil, onchain, publisher, terms):
    """Without ERC-5267 the name and the usual version are tried against its separator."""
    token = onchain.market.token
    code = bytes.fromhex(anvil.rpc("eth_getCode", token, "latest")[2:])
    selector = b"\x63" + keccak256(b"eip712Domain()")[:4]
    assert selector in code
    anvil.rpc("anvil_setCode", token, "0x" + code.replace(selector, b"\x63\xff\xff\xff\xff").hex())
    opened = order(terms, 70)
    ref = PodRef(OWNER.address, publisher.address, opened.salt)
    receipt = await onchain.open_with_permit(publisher.key, ref, METER.address, terms, 70)
    sent = anvil.rpc("eth_getTransactionByHash", "0x" + receipt.tx_hash.hex())
    assert int(sent["nonce"], 16) == 0  # one transaction: no approval came before


@pytest.mark.live
async def test_a_voucher_lifts_the_cap_of_one_period(anvil, onchain, publisher, terms):
    small = replace(terms, cap_mantissa=1, cap_exponent=0)
    ref = PodRef(OWNER.address, publisher.address, secrets.token_bytes(32))
    await onchain.open_with_permit(publisher.key, ref, METER.address, small, 5000)
    channel = await onchain.channel(OWNER.address, ref.channel)
    anvil.pass_time(10)
    used = Usage(cpu_core_ms=700)
    item = UsageItem(ref.channel, channel.up_to, channel.up_to + 10, used, voucher=True)
    market = onchain.market
    domain = Domain.of_payments(market.chain_id, market.payments)
    root = merkle.root([merkle.leaf(market.chain_id, market.payments, OWNER.address, item)])
    signed = sign_usage(METER.key, domain, UsageClaim(OWNER.address, root, (item,)))
    voucher = Voucher(OWNER.address, ref.salt, METER.address, item.from_, item.up_to, 600)
    word = sign_voucher(publisher.key, domain, voucher)
    stranger = sign_voucher(OWNER.key, domain, voucher)
    with pytest.raises(LocalProtocolError, match="one voucher for each"):
        await onchain.redeem(publisher.key, OWNER.address, signed, [])
    flags = []
    for signature in (stranger, word):
        _, (result,) = await onchain.redeem(
            publisher.key, OWNER.address, signed, [(voucher, publisher.address, signature)]
        )
        flags.append((result.flags, result.paid))
    assert flags == [(ItemFlags.STALE | ItemFlags.BAD_REF, 0), (ItemFlags.CUT_CAP, 600)]


@pytest.mark.live
async def test_a_batch_has_gas_for_what_the_estimate_skipped(anvil, onchain, publisher, terms):
    """Where it is estimated the period has not ended yet; where it is mined it has, and is paid."""
    ref = PodRef(OWNER.address, publisher.address, secrets.token_bytes(32))
    await onchain.open_with_permit(publisher.key, ref, METER.address, terms, 5000)
    channel = await onchain.channel(OWNER.address, ref.channel)
    item = UsageItem(ref.channel, channel.up_to, channel.up_to + 5000, Usage(cpu_core_ms=700))
    market, owner = onchain.market, OWNER.address
    domain = Domain.of_payments(market.chain_id, market.payments)
    root = merkle.root([merkle.leaf(market.chain_id, market.payments, owner, item)])
    signed = sign_usage(METER.key, domain, UsageClaim(owner, root, (item,)))
    with faulty_proxy(anvil.url) as proxy:

        def jump(request):
            if request["method"] == "eth_sendRawTransaction":
                anvil.rpc("evm_increaseTime", 6000)

        proxy.refuse = jump
        async with Chain(proxy.url, market) as chain:
            _, (result,) = await chain.submit_usage_for(publisher.key, owner, signed)
    assert (result.flags, result.paid) == (0, 700)


@pytest.mark.live
async def test_operators_are_told_apart(anvil, onchain, publisher):
    operator = new_party().address
    assert not await onchain.is_operator(publisher.address, operator)
    await onchain.set_operator(publisher.key, operator)
    assert await onchain.is_operator(publisher.address, operator)


@pytest.mark.live
async def test_channels_are_rebuilt_by_views_alone(anvil, onchain, publisher, terms):
    """A node that tells everything, one that tells seven blocks at a time, one that tells no events."""
    orders = [order(terms, amount) for amount in (10, 20)]
    owner = new_party()
    mine = [replace(one, owner=owner.address) for one in orders]
    await onchain.open_many(publisher.key, mine)
    await onchain.open_many(publisher.key, [replace(one, owner=new_party().address) for one in orders])
    ids = [PodRef(owner.address, publisher.address, one.salt).channel for one in mine]
    known = [(owner.address, one) for one in (*ids, 42)]

    def width(request):
        asked = request["params"][0]
        newest = int(asked["toBlock"], 16)
        return newest - int(asked["fromBlock"], 16) + 1

    def narrow(request):
        wide = request["method"] == "eth_getLogs" and width(request) > 7
        return (-32602, "eth_getLogs is limited to a 7 block range") if wide else None

    def mute(request):
        return (-32601, "the method does not exist") if request["method"] == "eth_getLogs" else None

    with faulty_proxy(anvil.url) as proxy:
        async with Chain(proxy.url, onchain.market) as chain:
            whole = await chain.rebuild(owner=owner.address)
            proxy.refuse = narrow
            windows = await chain.rebuild(owner=owner.address)
            both = await chain.rebuild(publisher=publisher.address)
            proxy.refuse = mute
            told = await chain.rebuild(owner=owner.address, known=known)
            nothing = await chain.rebuild(owner=owner.address)
            proxy.refuse = lambda request: (-32000, "trouble") if request["method"] == "eth_call" else None
            with pytest.raises(NetworkFailure):
                await chain.rebuild(owner=owner.address, known=known)
    expected = {(owner.address, one): left for one, left in zip(ids, (10, 20), strict=True)}
    assert {place: channel.left for place, channel in whole.channels.items()} == expected
    assert windows == whole
    assert both.channels.items() > whole.channels.items()
    assert len(both.channels) == 4
    assert (told.channels, told.hints) == (whole.channels, False)
    assert (nothing.channels, nothing.hints) == ({}, False)


def test_every_error_of_the_contracts_has_its_name_and_a_meaning():
    names = set()
    for contract in ("PodPayments", "PodRegistry", "TestToken"):
        for one in artifact(contract).abi:
            if one["type"] == "error":
                types = [argument["type"] for argument in one["inputs"]]
                selector = keccak256(f"{one['name']}({','.join(types)})".encode())[:4]
                told = refusal(selector + bytes(32 * len(types)))
                assert told.rule == one["name"]
                names.add(one["name"])
                assert "unknown error" not in told.what
    assert {"Live", "Locked", "ERC20InsufficientBalance", "ECDSAInvalidSignature"} <= names


def test_errors_of_other_contracts_are_shown_as_they_came():
    text = b"nope\x1b[31m"
    string = (32).to_bytes(32, "big") + len(text).to_bytes(32, "big") + text.ljust(32, b"\0")
    said = refusal(keccak256(b"Error(string)")[:4] + string)
    assert (said.rule, "nope[31m" in said.what, "\x1b" in said.what) == ("Error", True, False)
    assert refusal(keccak256(b"Panic(uint256)")[:4] + (17).to_bytes(32, "big")).rule == "Panic"
    unknown = refusal(b"\x12\x34\x56\x78" + bytes(500))
    assert "0x12345678" in unknown.what
    assert unknown.what.endswith("...")
    old = b"ERC20: transfer amount exceeds balance"
    string = (32).to_bytes(32, "big") + len(old).to_bytes(32, "big") + old.ljust(64, b"\0")
    assert isinstance(refusal(keccak256(b"Error(string)")[:4] + string), InsufficientFunds)


UNUSED = {
    "PodPayments": {"idOf"},  # `PodRef.channel` is the same offline
    "PodRegistry": {"page"},  # `pageRaw` is the same without a general and slow decoder
}


@pytest.mark.parametrize("contract", UNUSED)
def test_everything_that_a_contract_can_do_is_a_method(contract):
    """Names that the client calls, beside the contract's; constants aside."""
    room = Path("contracts/client")
    source = "\n".join(path.read_text() for path in room.glob("*.py"))
    called = set(re.findall(r"functions\.(\w+)\(|b\"(\w+)\(", source))
    used = {name for pair in called for name in pair if name}
    there = {one["name"] for one in artifact(contract).abi if one["type"] == "function"}
    constants = {name for name in there if name.isupper()}
    assert there - constants - used == UNUSED[contract]
