# SPDX-License-Identifier: Apache-2.0
"""Moves that a daemon is asked to hand in: those that hold, and those that cost it no gas."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from tests.fakes.provider.caller import Caller
from tests.fakes.provider.reboots import channel_of, rebooted, rotate, rotation, world
from trustedpods.contracts.usage import ItemFlags, SubmissionResult
from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.messages.rotation import RotateBody
from trustedpods.provider.keys.boot import BootKeys

__all__ = ["world"]

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


async def test_a_rotation_twice_is_one(world):
    async with rebooted(world) as (_, caller):
        await rotate(world, caller)
        assert (await rotate(world, caller)).transaction is None
        assert [verb for verb, _ in world.chain.log].count("rotate") == 1


async def test_a_rotation_signed_by_somebody_else_costs_no_gas(world):
    async with rebooted(world) as (_, caller):
        with pytest.raises(Refused) as caught:
            await rotate(world, caller, new_meter=world.old_meter)
        assert caught.value.rule == "move-signature"
        assert "rotate" not in [verb for verb, _ in world.chain.log]


async def test_a_rotation_from_another_meter(world):
    async with rebooted(world) as (_, caller):
        with pytest.raises(Refused) as caught:
            await rotate(world, caller, old_meter=world.owner)
        assert caught.value.rule == "old-meter"


async def test_a_rotation_whose_time_is_over(world):
    async with rebooted(world) as (_, caller):
        with pytest.raises(Refused) as caught:
            await rotate(world, caller, deadline=int(world.now) - 1)
        assert caught.value.rule == "deadline"
        assert "rotate" not in [verb for verb, _ in world.chain.log]


def upper_half(good):
    high = (ORDER - int.from_bytes(good[32:64])).to_bytes(32)
    return good[:32] + high + bytes([27 + 28 - good[64]])


REFUSED_FORMS = {
    "v of 0 or 1": lambda good: good[:64] + bytes([good[64] - 27]),
    "v of 35 or 36": lambda good: good[:64] + bytes([good[64] + 8]),
    "upper half of s": upper_half,
    "zeros": lambda _: bytes(65),
}


async def test_a_signature_that_the_contract_refuses_costs_no_gas(world):
    async with rebooted(world) as (_, caller):
        good = rotation(world, caller)
        for name, form in REFUSED_FORMS.items():
            bad = good.model_copy(update={"signature": form(good.signature)})
            with pytest.raises(Refused) as caught:
                await caller.ask("rotate", bad, Done)
            assert caught.value.rule == "move-signature", name
            assert "rotate" not in [verb for verb, _ in world.chain.log], name
        await caller.ask("rotate", good, Done)


async def test_channels_of_no_pod_are_not_moved(world):
    """A stranger with channels of its own, under an old meter, has the operator pay for nothing."""
    async with rebooted(world) as (_, caller):
        stranger = Caller(world, caller.address)
        boot, world.keys = world.keys, BootKeys.generate()
        await stranger.pay()
        world.old_meter, world.keys = world.keys.meter_address, boot
        with pytest.raises(Refused) as caught:
            await rotate(world, stranger)
        assert caught.value.rule == "unknown-pod"
        assert "rotate" not in [verb for verb, _ in world.chain.log]


async def test_a_channel_of_other_terms_is_not_moved(world):
    async with rebooted(world) as (_, caller):
        life = world.chain.lives[world.owner, caller.ref.channel]
        free = Prices(cpu_core_ms=0, memory_mib_s=0, storage_mib_s=0, egress_kib=0, ingress_kib=0, scale=64)
        life.channel = replace(life.channel, terms=replace(life.channel.terms, prices=free))
        with pytest.raises(Refused) as caught:
            await rotate(world, caller)
        assert caught.value.rule == "price"
        assert "rotate" not in [verb for verb, _ in world.chain.log]


async def test_one_move_a_channel_is_paid_for_whatever_becomes_of_it(world, monkeypatch):
    """A publisher can sign as many moves as it likes: each would cost the operator gas."""
    sent = []

    async def lost(_key, _owner, _old, _new, moves):
        sent.extend(signature for _, _, signature in moves)
        raise NetworkFailure("the node is gone", where="node")

    async with rebooted(world) as (_, caller):
        with monkeypatch.context() as patch:
            patch.setattr(world.chain, "rotate", lost)
            first = rotation(world, caller)
            for _ in range(2):  # the same again meets the transaction that is out
                with pytest.raises(TrustedPodsError):
                    await caller.ask("rotate", first, Done)
            for later in range(1, 5):
                with pytest.raises(Refused) as caught:
                    await rotate(world, caller, deadline=int(world.now) + 600 + later)
                assert caught.value.rule == "moved-before"
        assert sent == [first.signature] * 2
        await caller.ask("rotate", first, Done)


async def test_what_the_contract_skipped_is_not_handed_in_again(world, monkeypatch):
    sent = []

    async def skipping(_key, _owner, _old, _new, moves):
        sent.extend(moves)
        return world.chain._mined("rotate", world.owner), [SubmissionResult(0, ItemFlags.STALE, 0, 0)]

    async with rebooted(world) as (_, caller):
        monkeypatch.setattr(world.chain, "rotate", skipping)
        move = rotation(world, caller)
        told = []
        for again in (move, move, rotation(world, caller, deadline=int(world.now) + 700)):
            with pytest.raises(Refused) as caught:
                await caller.ask("rotate", again, Done)
            told.append(caught.value.rule)
        assert told == ["not-moved", "moved-before", "moved-before"]
        assert len(sent) == 1


async def test_a_settlement_goes_with_it(world, virtual_time):
    async with rebooted(world) as (_, caller):
        channel = channel_of(world, caller)
        await rotate(world, caller, from_=channel.up_to, up_to=int(world.now), pay=77)
        after = channel_of(world, caller)
        assert (after.up_to, channel.left - after.left) == (int(world.now), 77)


async def test_a_settlement_of_another_period_is_stale(world):
    async with rebooted(world) as (_, caller):
        with pytest.raises(Refused) as caught:
            await rotate(world, caller, from_=5, up_to=int(world.now), pay=77)
        assert caught.value.rule == "stale"


@pytest.mark.parametrize(
    "changes", [{"as_of": 1 << 32}, {"deadline": -1}, {"pay": 1 << 88}, {"from_": 1 << 32}]
)
def test_numbers_that_no_field_holds_are_no_move(changes):
    good = {"old_meter": bytes(20), "as_of": 1, "deadline": 2, "signature": bytes(65)}
    with pytest.raises(ValidationError):
        RotateBody(**(good | changes))
