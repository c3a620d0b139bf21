# SPDX-License-Identifier: Apache-2.0
"""A daemon whose machine was restarted, and the moves that publishers sign to its new meter."""

from contextlib import asynccontextmanager

import pytest

from tests.fakes.provider.caller import Caller, in_phase, until
from tests.fakes.provider.world import World
from trustedpods.contracts.eip712 import Domain, Move, address_of, sign_move
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.rotation import RotateBody
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.keys.boot import BootKeys

SERVED_S, DOWN_S = 100, 50


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.chain.operators.add((made.owner, address_of(made.operator_key)))
    return made


@asynccontextmanager
async def rebooted(world):
    """A pod that served for `SERVED_S`, then a reboot that took `DOWN_S`; yields its new boot."""
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        world.old_meter = world.keys.meter_address
        world.pass_time(SERVED_S)
        await parts.meter.observe()
    world.last_counted = int(world.now)
    world.pass_time(DOWN_S)
    world.keys = BootKeys.generate()
    async with world.run() as (parts, address):
        caller.address = address
        await until(lambda: in_phase(parts, caller, Phase.AWAITING_KEY))
        yield parts, caller


def rotation(world, caller, **changes):
    """A signed move to this boot's meter."""
    market = world.chain.market
    fields = {
        "owner": world.owner,
        "salt": caller.ref.salt,
        "old_meter": world.old_meter,
        "new_meter": world.keys.meter_address,
        "as_of": int(world.now),
        "deadline": int(world.now) + 600,
    }
    move = Move(**(fields | changes))
    signature = sign_move(caller.key, Domain.of_payments(market.chain_id, market.payments), move)
    return RotateBody(
        old_meter=address_bytes(move.old_meter),
        as_of=move.as_of,
        deadline=move.deadline,
        from_=move.from_,
        up_to=move.up_to,
        pay=move.pay,
        signature=signature,
    )


async def rotate(world, caller, **changes):
    return await caller.ask("rotate", rotation(world, caller, **changes), Done)


def channel_of(world, caller):
    return world.chain.lives[world.owner, caller.ref.channel].channel
