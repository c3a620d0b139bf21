# SPDX-License-Identifier: Apache-2.0
"""Deposits that another account brings: a signer's, which a person confirms, or a Safe's."""

import json
from dataclasses import replace

import pytest
import trio

from tests.fakes.chain.signer_device import refusing
from trustedpods.protocol.errors import BadInput, InsufficientFunds, NetworkFailure, NoContext, Refused
from trustedpods.protocol.ids import Address
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.payers.payer import SafePayer, SignerPayer
from trustedpods.publisher.payment import paying_in
from trustedpods.publisher.payment.channel import LackingFunds
from trustedpods.publisher.payment.paying_in import FEE_ROOM, LIFE_GAS, OPEN_GAS, ROUNDS, coin_text, cover

SAFE = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
DEPOSIT = 2_500_000
LONG_S, SHORT_S = 30.0, 0.3


@pytest.fixture
def poor(bench):
    """A bench whose publisher has coin and no tokens."""
    bench.chain.tokens[bench.address] = 0
    return bench


def by_device(bench, device, wait_s=LONG_S, tokens=10**9):
    bench.wait(payer_s=wait_s)
    bench.chain.give(device.address, tokens)
    bench.account = replace(bench.account, payer=SignerPayer(device.address, device.path))


def by_safe(bench, wait_s=None):
    bench.wait(payer_s=wait_s)
    bench.account = replace(bench.account, payer=SafePayer(SAFE))


def batch(bench):
    name = f"{bench.chain.market.chain_id}-{SAFE}-{bench.address}.json".lower()
    return json.loads((state_dir() / "safe" / name).read_text())


async def test_without_a_payer_nothing_comes(poor):
    assert await cover(poor.account, DEPOSIT, poor.journal()) is False
    assert poor.chain.log == []


async def test_a_signer_sends_what_is_lacking_and_no_more(poor, device):
    by_device(poor, device)
    poor.chain.tokens[poor.address] = 500_000
    assert await cover(poor.account, DEPOSIT, poor.journal()) is True
    assert poor.chain.tokens[poor.address] == DEPOSIT
    assert [verb for verb, _ in poor.chain.log] == ["send_tokens"]
    assert [one["method"] for one in device.asked] == ["account_signTransaction"]
    told = " ".join(poor.last.show.lines)
    assert f"asking {device.address} at {device.path} to send 2 TPT to {poor.address}" in told
    assert "confirm it there, within 30 s" in told


async def test_who_has_enough_is_not_asked_again(poor, device):
    by_device(poor, device)
    assert await cover(poor.account, DEPOSIT, poor.journal()) is True
    assert await cover(poor.account, DEPOSIT, poor.journal()) is False
    assert len(device.asked) == 1


async def test_coin_comes_where_there_is_too_little_for_an_opening(poor, device):
    by_device(poor, device)
    price = FEE_ROOM * poor.chain.wei_per_gas
    poor.chain.gas[poor.address] = OPEN_GAS * price - 1
    assert await cover(poor.account, DEPOSIT, poor.journal()) is True
    assert poor.chain.gas[poor.address] == LIFE_GAS * price
    assert [verb for verb, _ in poor.chain.log] == ["send_gas", "send_tokens"]


async def test_a_payer_without_the_tokens_is_not_asked(poor, device):
    by_device(poor, device, tokens=DEPOSIT - 1)
    with pytest.raises(
        InsufficientFunds, match=f"{device.address} has 2.499999 TPT, 2.5 TPT are needed"
    ) as error:
        await cover(poor.account, DEPOSIT, poor.journal())
    assert (error.value.rule, device.asked) == ("payer", [])


async def test_a_person_who_says_no_costs_nothing_and_may_say_yes_the_next_time(poor, device):
    by_device(poor, device)
    device.answer = refusing
    with pytest.raises(Refused, match="request denied") as error:
        await cover(poor.account, DEPOSIT, poor.journal())
    assert error.value.rule == "signer-refused"
    assert poor.chain.log == []
    device.answer = None
    assert await cover(poor.account, DEPOSIT, poor.journal()) is True


async def test_a_device_that_nobody_confirms_on_is_left(poor, device):
    by_device(poor, device, wait_s=SHORT_S)
    device.holds.clear()
    with pytest.raises(NetworkFailure) as error:
        await cover(poor.account, DEPOSIT, poor.journal())
    assert (error.value.rule, poor.chain.log) == ("signer-silent", [])


async def test_a_safe_gets_a_file_and_the_verb_ends_with_what_to_do(poor):
    by_safe(poor)
    with pytest.raises(InsufficientFunds, match=r"has not paid 2\.5 TPT yet") as error:
        await cover(poor.account, DEPOSIT, poor.journal())
    assert (error.value.rule, int(error.value.exit_code)) == ("payer", 7)
    assert "run the same again" in error.value.hint
    made = batch(poor)
    assert error.value.where.endswith(".json")
    assert (made["chainId"], made["meta"]["createdFromSafeAddress"]) == ("31337", SAFE)
    (transfer,) = made["transactions"]
    data = poor.chain.transfer_data(poor.address, DEPOSIT)
    assert (transfer["to"], transfer["value"]) == (poor.chain.market.token, "0")
    assert transfer["data"] == "0x" + data.hex()


async def test_a_safe_also_sends_coin_where_there_is_too_little(poor):
    by_safe(poor)
    poor.chain.gas[poor.address] = 0
    with pytest.raises(InsufficientFunds, match=r"0\.0012 of the chain's coin, for gas"):
        await cover(poor.account, DEPOSIT, poor.journal())
    _, coin = batch(poor)["transactions"]
    price = FEE_ROOM * poor.chain.wei_per_gas
    assert (coin["to"], coin["value"], coin["data"]) == (poor.address, str(LIFE_GAS * price), "0x")


async def test_a_safe_is_waited_for_as_long_as_is_said(poor, virtual_time):
    by_safe(poor, wait_s=3600)
    journal = poor.journal()

    async def owners():
        await trio.sleep(1800)
        poor.chain.give(poor.address, DEPOSIT)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(owners)
        assert await cover(poor.account, DEPOSIT, journal) is True
    assert [event["event"] for event in journal.events] == ["payer-asked", "payer-paid"]
    assert journal.if_interrupted is None


async def test_and_no_longer(poor, virtual_time):
    by_safe(poor, wait_s=3600)
    began = trio.current_time()
    with pytest.raises(InsufficientFunds, match="has not paid"):
        await cover(poor.account, DEPOSIT, poor.journal())
    assert 3600 <= trio.current_time() - began < 3610


async def test_the_next_run_asks_only_for_the_rest(poor):
    by_safe(poor)
    for _ in range(2):
        with pytest.raises(InsufficientFunds):
            await cover(poor.account, DEPOSIT, poor.journal())
        poor.chain.give(poor.address, DEPOSIT - 1)
        poor.chain.tokens[poor.address] = min(poor.chain.tokens[poor.address], DEPOSIT - 1)
    assert batch(poor)["transactions"][0]["data"] == "0x" + poor.chain.transfer_data(poor.address, 1).hex()


async def test_a_file_that_cannot_be_written_is_said_so(poor):
    by_safe(poor)
    folder = state_dir()
    folder.mkdir(parents=True)
    (folder / "safe").write_text("in the way")
    with pytest.raises(NoContext, match="cannot write it"):
        await cover(poor.account, DEPOSIT, poor.journal())


async def test_another_error_is_no_matter_of_the_payers(poor, device):
    by_device(poor, device)
    error = InsufficientFunds("the provider asks for more", rule="deposit")
    assert await paying_in.Payments(poor.account, poor.journal()).brought(error) is False
    assert device.asked == []


def lacking():
    return LackingFunds("it has nothing", DEPOSIT, rule="token", hint="send some")


async def test_money_that_came_meanwhile_is_as_good_as_what_was_asked_for(poor, device):
    by_device(poor, device)
    poor.chain.give(poor.address, DEPOSIT)
    assert await paying_in.Payments(poor.account, poor.journal()).brought(lacking()) is True
    assert device.asked == []


async def test_a_chain_node_that_never_shows_what_came_drains_no_payer(poor, device):
    by_device(poor, device)
    payments = paying_in.Payments(poor.account, poor.journal())
    told = []
    for _ in range(ROUNDS + 1):
        told.append(await payments.brought(lacking()))
        poor.chain.tokens[poor.address] = 0
    assert told == [*(ROUNDS * [True]), False]
    assert len(device.asked) == ROUNDS


async def test_a_safe_that_paid_a_part_is_not_handed_the_whole_again(poor, virtual_time):
    by_safe(poor, wait_s=3600)

    async def owners():
        await trio.sleep(1800)
        poor.chain.give(poor.address, DEPOSIT - 1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(owners)
        with pytest.raises(InsufficientFunds, match=r"has not paid 0\.000001 TPT yet"):
            await cover(poor.account, DEPOSIT, poor.journal())
    assert batch(poor)["transactions"][0]["data"] == "0x" + poor.chain.transfer_data(poor.address, 1).hex()


async def test_a_safe_that_is_none_on_this_chain_gets_no_file(poor):
    by_safe(poor)
    poor.chain.bare.add(SAFE)
    with pytest.raises(BadInput, match=f"no Safe at {SAFE} on chain 31337"):
        await cover(poor.account, DEPOSIT, poor.journal())
    assert not (state_dir() / "safe").exists()


async def test_who_has_no_coin_lacks_some_even_where_gas_is_free(poor, device):
    by_device(poor, device)
    poor.chain.wei_per_gas = poor.chain.gas[poor.address] = 0
    await cover(poor.account, DEPOSIT, poor.journal())
    assert poor.chain.gas[poor.address] > 0


@pytest.mark.parametrize(
    ("wei", "text"), [(0, "0"), (1, "0.000001"), (10**18, "1"), (12 * 10**14, "0.0012"), (15 * 10**17, "1.5")]
)
def test_coin_is_told_in_whole_coins(wei, text):
    assert coin_text(wei) == text
