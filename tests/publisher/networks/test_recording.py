# SPDX-License-Identifier: Apache-2.0
"""Commands in the history: one that writes once or often, that fails, or that is killed."""

import pytest

from tests.fakes.network_states import ALICE, SHOP, state_of
from tests.publisher.networks.test_holding import FakeDoor, network
from trustedpods.protocol.errors import BadInput, Locked
from trustedpods.protocol.networks.history import SecretText, arguments
from trustedpods.publisher.networks.recording import recorded
from trustedpods.publisher.networks.states import read_state


@pytest.fixture
def doors():
    return {name: FakeDoor() for name in ("k1", "k2")}


class Command:
    """A command of Alice's over *doors*."""

    def __init__(self, doors, verb="network apply"):
        self.doors, self.verb = doors, verb

    async def run(self, work):
        given = arguments([("network", "shop"), ("--token", SecretText("hunter2"))])
        async with (
            network(self.doors, ALICE.address).locked(self.verb) as held,
            recorded(held, ALICE, SHOP, self.verb, given) as change,
        ):
            await work(change)


def history(doors):
    state = read_state(ALICE, SHOP, doors["k1"].state.copy.current)
    return [
        (record.verb, record.result, record.generation, bool(record.ended))
        for chunk in state.read.content.history
        for record in chunk
    ]


async def connect(change):
    await change.write(state_of(), result="done")


async def twice(change):
    for _ in range(2):
        await change.write(change.state.read.writable())


async def test_a_command_that_writes_once_is_one_document(doors, virtual_time):
    await Command(doors, "network connect").run(connect)
    assert history(doors) == [("network connect", "done", 1, True)]
    assert b"hunter2" not in doors["k1"].state.copy.current.body
    assert doors["k1"].state.copy.current.generation == 1
    for door in doors.values():
        asked = [type(question).__name__ for question in door.asked]
        assert asked == ["Acquire", "ReadCopy", "Prepare", "Commit", "Release"], "as without any record"


async def test_a_command_that_writes_often_has_its_begin_and_its_end(doors, virtual_time):
    await Command(doors, "network connect").run(connect)

    async def work(change):
        await twice(change)
        assert history(doors)[-1] == ("network apply", "", 2, False)

    await Command(doors).run(work)
    assert history(doors)[-1] == ("network apply", "done", 4, True)


async def test_one_that_wrote_nothing_leaves_no_record(doors, virtual_time):
    await Command(doors, "network connect").run(connect)

    async def nothing(change):
        assert change.state is not None

    await Command(doors).run(nothing)
    assert [verb for verb, *_ in history(doors)] == ["network connect"]


@pytest.mark.parametrize(
    ("error", "result"),
    [(BadInput("token hunter2 is wrong", rule="token"), "BadInput token"), (OSError("x"), "failed")],
)
async def test_one_that_fails_tells_the_kind_of_its_error_and_not_its_words(
    doors, virtual_time, error, result
):
    await Command(doors, "network connect").run(connect)

    async def fails(change):
        await twice(change)
        raise error

    with pytest.raises(type(error)):
        await Command(doors).run(fails)
    assert history(doors)[-1] == ("network apply", result, 4, True)


async def test_one_that_ends_by_ctrl_c_stays_unfinished(doors, virtual_time):
    await Command(doors, "network connect").run(connect)

    async def interrupted(change):
        await change.write(change.state.read.writable())
        raise KeyboardInterrupt

    with pytest.raises(BaseException):  # noqa: B017 - alone or in a group
        await Command(doors).run(interrupted)
    assert history(doors)[-1] == ("network apply", "", 2, False)


async def test_one_that_lost_its_leases_stays_unfinished(doors, virtual_time):
    await Command(doors, "network connect").run(connect)

    async def broken(change):
        await change.write(change.state.read.writable())
        for door in doors.values():
            door.state = type(door.state)(copy=door.state.copy)
        await change.write(change.state.read.writable())

    with pytest.raises(Locked):
        await Command(doors).run(broken)
    assert history(doors)[-1] == ("network apply", "", 2, False)
    await Command(doors).run(twice)
    assert [result for _, result, *_ in history(doors)] == ["done", "", "done"]
