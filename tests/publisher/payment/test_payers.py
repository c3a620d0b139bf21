# SPDX-License-Identifier: Apache-2.0
"""Deploys that somebody else pays for, over real libp2p, with a signer that really signs."""

from dataclasses import replace

import pytest
import trio

from tests.fakes.chain.signer_device import refusing
from trustedpods.protocol.errors import BadInput, InsufficientFunds, Refused
from trustedpods.protocol.ids import Address, PodRef
from trustedpods.publisher.core.money import Funding, parse_funding
from trustedpods.publisher.keyfile import Key
from trustedpods.publisher.market.market import open_account
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.payers.payer import SafePayer, SignerPayer
from trustedpods.publisher.payment import channel
from trustedpods.publisher.results.money import FundProgress
from trustedpods.publisher.verbs import money

SAFE = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
HOUR = Funding(seconds=3600)


@pytest.fixture
def poor(bench):
    """A publisher who has nothing at all."""
    bench.chain.tokens[bench.address] = bench.chain.gas[bench.address] = 0
    return bench


def opened(bench):
    return [verb for verb, _ in bench.chain.log].count("open")


async def test_a_device_pays_for_a_deploy_with_two_confirmations(poor, device):
    poor.chain.give(device.address, 10**9)
    poor.account = replace(poor.account, payer=SignerPayer(device.address, device.path))
    async with poor.peer().serve():
        result = await poor.deploy(funding=HOUR)
    assert result.confirmed.endpoints
    assert [verb for verb, _ in poor.chain.log] == ["send_gas", "send_tokens", "open"]
    assert poor.chain.tokens[poor.address] == 0
    assert len(device.asked) == 2


async def test_a_no_at_the_device_ends_the_deploy_and_the_next_one_goes_on(poor, device):
    poor.chain.give(device.address, 10**9)
    poor.account = replace(poor.account, payer=SignerPayer(device.address, device.path))
    device.answer = refusing
    async with poor.peer().serve() as peer:
        with pytest.raises(Refused, match="request denied"):
            await poor.deploy(funding=HOUR)
        assert (opened(poor), "provision" in peer.log) == (0, False)
        device.answer = None
        assert (await poor.deploy(funding=HOUR)).confirmed.endpoints


async def test_a_safe_pays_between_two_runs(poor):
    poor.account = replace(poor.account, payer=SafePayer(SAFE))
    async with poor.peer().serve() as peer:
        with pytest.raises(InsufficientFunds, match="has not paid"):
            await poor.deploy(funding=HOUR)
        assert (opened(poor), "provision" in peer.log) == (0, False)
        poor.chain.give(poor.address, 10**9)
        assert (await poor.deploy(funding=HOUR)).confirmed.endpoints
    assert opened(poor) == 1


async def test_a_safe_pays_while_the_deploy_waits_and_no_provider_is_held(poor):
    poor.wait(payer_s=60)
    poor.account = replace(poor.account, payer=SafePayer(SAFE))
    asked = trio.Event()
    async with poor.peer().serve() as peer, trio.open_nursery() as nursery:

        async def owners():
            while not (poor.journals and any(e["event"] == "payer-asked" for e in poor.last.events)):
                await trio.sleep(0.01)
            asked.set()
            poor.chain.give(poor.address, 10**9)

        nursery.start_soon(owners)
        assert (await poor.deploy(funding=HOUR)).confirmed.endpoints
        assert peer.log.count("attest") >= 2  # to know the price, and anew when the money was there
    assert asked.is_set()


async def test_an_update_of_a_pod_that_is_paid_for_asks_nobody(bench, device):
    async with bench.peer().serve():
        await bench.deploy(funding=HOUR)
        bench.account = replace(bench.account, payer=SignerPayer(device.address, device.path))
        bench.chain.tokens[bench.address] = 0
        bench.write_image(layers=(b"other" * 1000,))
        await bench.deploy()
    assert device.asked == []


async def test_what_is_left_goes_back_to_the_payer_once(bench):
    bench.account = replace(bench.account, payer=SafePayer(SAFE))
    had, bench.chain.credit[bench.address] = bench.chain.tokens[bench.address], 2_500_000
    result = await money.withdraw(bench.account, None, bench.journal(), to_payer=True)
    assert (result.paid, result.returned) == (2_500_000, had + 2_500_000)
    assert (bench.chain.tokens[SAFE], bench.chain.tokens[bench.address]) == (result.returned, 0)
    assert result.lines[-1].endswith("went to the payer")
    again = await money.withdraw(bench.account, None, bench.journal(), to_payer=True)
    assert (again.returned, again.returned_by) == (0, None)
    assert {"returned": "0", "paid": "0"}.items() <= json_of(again).items()
    assert len(json_of(result)["returned_tx"]) == 66


async def test_nothing_goes_to_a_safe_that_is_none_on_this_chain(bench):
    bench.account, had = replace(bench.account, payer=SafePayer(SAFE)), bench.chain.tokens[bench.address]
    bench.chain.bare.add(SAFE)
    with pytest.raises(BadInput, match="no Safe at"):
        await money.withdraw(bench.account, None, bench.journal(), to_payer=True)
    assert bench.chain.tokens[bench.address] == had


async def test_a_transfer_that_an_earlier_run_made_is_not_taken_for_this_one(bench, monkeypatch):
    bench.account = replace(bench.account, payer=SafePayer(SAFE))
    had, send, met = bench.chain.tokens[bench.address], bench.chain.send_tokens, []

    async def meeting(key, to, amount):
        met.append(amount)
        return bench.chain._mined("send_tokens", to) if len(met) == 1 else await send(key, to, amount)

    monkeypatch.setattr(bench.chain, "send_tokens", meeting)
    result = await money.withdraw(bench.account, None, bench.journal(), to_payer=True)
    assert (met, result.returned, bench.chain.tokens[SAFE]) == ([had, had], had, had)


async def test_who_pays_for_himself_is_told_so(bench, tmp_path):
    account = bench.account
    file, key = account.market.file, Key(tmp_path, account.publisher.address, account.publisher.key)
    with pytest.raises(BadInput, match="the key's own address"):
        async with open_account(file, key, payer=SafePayer(bench.address)):
            pass


async def test_an_opening_that_came_late_is_no_lack(bench):
    """A run was killed when it had sent the opening: the next looks before that is mined, and pays after."""
    async with bench.peer().serve():
        await bench.deploy(funding=HOUR)
    bench.chain.tokens[bench.address] = 0
    (((owner, _), life),) = bench.chain.lives.items()
    await channel.check_opening(bench.account, PodRef(owner, bench.address, life.salt), 2_500_000)
    with pytest.raises(channel.LackingFunds):
        await channel.check_opening(bench.account, PodRef(owner, bench.address, bytes(32)), 2_500_000)


async def test_a_top_up_of_a_killed_run_is_met_before_the_payer_is_asked(bench, device):
    async with bench.peer().serve():
        await bench.deploy(funding=HOUR)
    bench.chain.tokens[bench.address] = 0
    bench.chain.give(device.address, 10**9)
    bench.account = replace(bench.account, payer=SignerPayer(device.address, device.path))
    (place,) = bench.chain.lives
    bench.chain.unheard[*place, 2_500_000] = bench.chain._mined("top_up", place[1])
    asked = parse_funding("2.5", "AMOUNT")
    await money.fund(bench.account, "hello", asked, None, FundProgress(), bench.journal())
    assert device.asked == []
    await money.fund(bench.account, "hello", asked, None, FundProgress(), bench.journal())
    assert len(device.asked) == 1


async def test_it_goes_nowhere_where_no_payer_is_named(bench):
    had = bench.chain.tokens[bench.address]
    with pytest.raises(BadInput, match="no payer is named"):
        await money.withdraw(bench.account, None, bench.journal(), to_payer=True)
    result = await money.withdraw(bench.account, None, bench.journal())
    assert (result.returned, bench.chain.tokens[bench.address]) == (None, had)
    assert "returned" not in json_of(result)


async def test_fund_asks_the_payer_for_the_top_up(bench, device):
    async with bench.peer().serve():
        await bench.deploy(funding=HOUR)
    bench.chain.tokens[bench.address] = 0
    bench.chain.give(device.address, 10**9)
    bench.account = replace(bench.account, payer=SignerPayer(device.address, device.path))
    result = await money.fund(
        bench.account, "hello", parse_funding("2.5", "AMOUNT"), None, FundProgress(), bench.journal()
    )
    assert result.paid == 2_500_000
    assert [verb for verb, _ in bench.chain.log][-2:] == ["send_tokens", "top_up"]
    assert bench.chain.tokens[bench.address] == 0
