# SPDX-License-Identifier: Apache-2.0
"""A change of keys as the operator sees it: what is asked of whom, killed anywhere, and to its end."""

import os
import time
from contextlib import suppress
from dataclasses import replace

import pytest
import trio

from tests.fakes.provider.world import config_of
from tests.fakes.setup.keys import FakeKeySite, sign
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import BadInput, NetworkFailure, NoContext
from trustedpods.provider.core.operator_key.rotation import RotationStep
from trustedpods.provider.keys.file import make_key, read_key
from trustedpods.provider.keys.operator_files import read_operator_keys
from trustedpods.provider.setup.operator_key import procedure
from trustedpods.provider.setup.operator_key.procedure import ANOTHER_AFTER_S, Rotation, rotate, stands
from trustedpods.provider.setup.owner.qr_codes import QrRoom

OWNER = b"\x03" * 32
RICH = 10**18


class Case:
    """A provider whose daemon runs with a key that the owner named."""

    def __init__(self, tmp_path):
        self.path = tmp_path / "operator.key"
        make_key(self.path, os.geteuid(), os.getegid())
        os.utime(self.path, (0, 0))
        self.old = read_key(self.path)
        self.site = FakeKeySite(self.path, used=self.old)
        self.chain, self.owner = self.site.chain_door, address_of(OWNER)
        config = config_of(tmp_path, self.chain, self.owner)
        identity = config.identity.model_copy(update={"operator_key_file": str(self.path)})
        self.rotation = Rotation(config.model_copy(update={"identity": identity}), self.site)
        self.chain.operators.add((self.owner, address_of(self.old)))
        self.chain.give(address_of(self.old), 0, RICH)
        self.chain.give(self.owner, 0, RICH)

    @property
    def new(self):
        return read_operator_keys(self.path).following

    async def go_on(self, **changes):
        return await rotate(replace(self.rotation, **changes))

    def sign(self, result):
        """The owner, with a wallet elsewhere."""
        sign(self.chain, self.owner, result.transactions)

    @property
    def over(self):
        """There is one key, and it is not the old one."""
        files = [file.name for file in self.path.parent.glob("operator.key*")]
        return files == ["operator.key"] and read_key(self.path) != self.old

    def hand_on(self):
        """The daemon, at its leisure."""
        new = address_of(read_key(self.path))
        self.chain.gas[new] = self.chain.gas.get(new, 0) + self.chain.gas.pop(address_of(self.old), 0)


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


async def test_the_whole_way_with_the_owners_wallet_elsewhere(case):
    result = await case.go_on()
    assert (result.step, result.complete) == (RotationStep.NAME, False)
    new = case.new
    contracts = [case.chain.market.registry, case.chain.market.payments]
    assert [one.to for one in result.transactions] == contracts
    assert all(address_of(new)[2:].lower() in one.link.lower() for one in result.transactions)
    case.sign(result)
    result = await case.go_on()
    assert (result.step, read_key(case.path)) == (RotationStep.RESTART, new)
    assert read_operator_keys(case.path).former.key == case.old
    case.site.used = None
    assert (await case.go_on()).step is RotationStep.START
    case.site.restart()
    case.site.under_way = 1
    assert (await case.go_on()).step is RotationStep.SETTLE
    case.site.under_way = 0
    result = await case.go_on()
    assert result.step is RotationStep.TAKE_BACK
    assert [(one.to, one.data[-1]) for one in result.transactions] == [(one, 0) for one in contracts]
    case.sign(result)
    assert (await case.go_on()).step is RotationStep.MOVE_COIN
    case.hand_on()
    result = await case.go_on()
    assert (result.complete, result.operator) == (True, address_of(new))
    assert case.chain.operators == {(case.owner, address_of(new))}
    assert [file.name for file in case.path.parent.glob("operator.key*")] == ["operator.key"]


async def test_only_the_contract_that_lacks_it_is_asked_for(case):
    await case.go_on()
    case.chain.half_named.add(address_of(case.new))
    result = await case.go_on()
    assert [one.to for one in result.transactions] == [case.chain.market.payments]


async def test_with_the_owners_key_here_nothing_is_left_to_sign(case):
    case.site.owner = OWNER
    assert (await case.go_on()).step is RotationStep.RESTART
    case.site.restart()
    assert (await case.go_on()).step is RotationStep.MOVE_COIN
    case.hand_on()
    assert (await case.go_on()).complete


async def test_others_are_waited_for_and_each_new_step_is_told_once(case, virtual_time):
    told = []

    async def others():
        while not told or told[-1].step is not RotationStep.NAME:
            await trio.sleep(1)
        case.sign(told[-1])
        await trio.sleep(10)
        case.site.restart()
        case.hand_on()
        await trio.sleep(10)
        case.sign(told[-1])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        result = await case.go_on(wait_s=3600, waiting=told.append)
    assert result.complete
    assert [one.step for one in told] == [RotationStep.NAME, RotationStep.RESTART, RotationStep.TAKE_BACK]


async def test_a_stolen_key_loses_its_rights_with_the_same_signatures(case):
    result = await case.go_on(lost=True)
    purposes = [one.purpose for one in result.transactions]
    assert [word.split()[0] for word in purposes] == ["let", "let", "no", "no", "give"]
    case.sign(result)
    assert case.chain.operators == {(case.owner, address_of(case.new))}
    assert (await case.go_on()).step is RotationStep.RESTART
    case.site.restart()
    case.hand_on()
    assert (await case.go_on()).complete


async def test_a_key_whose_file_is_gone(case):
    case.path.unlink()
    with pytest.raises(NoContext, match="not there") as caught:
        await case.go_on()
    assert "--lost" in caught.value.hint
    shown = await stands(case.rotation)
    assert not shown.complete
    assert "--lost" in shown.told
    result = await case.go_on(lost=True)
    assert result.operator is None
    assert len(result.transactions) == 5  # the daemon that still runs says whose rights end
    case.sign(result)
    assert (await case.go_on(lost=True)).step is RotationStep.RESTART
    assert read_operator_keys(case.path).former.address == address_of(case.old)
    case.site.restart()
    assert (await case.go_on()).complete


async def test_a_key_whose_file_is_gone_and_no_daemon_runs(case):
    case.path.unlink()
    case.site.used = None
    result = await case.go_on(lost=True)
    assert len(result.transactions) == 3  # of whose key it was nobody knows here
    case.sign(result)
    assert (await case.go_on(lost=True)).complete


async def test_without_the_chain_nothing_is_changed(case):
    case.sign(await case.go_on())
    case.chain.broken = True
    with pytest.raises(NetworkFailure):
        await case.go_on()
    assert read_key(case.path) == case.old


async def test_to_look_changes_nothing(case):
    assert (await stands(case.rotation)).complete
    assert not case.path.with_name("operator.key.next").exists()


async def test_a_folder_that_cannot_be_written_is_said_plainly(case, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(procedure, "make_following", full)
    with pytest.raises(BadInput, match="No space left"):
        await case.go_on()


async def changed(case):
    case.site.owner = OWNER
    await case.go_on()
    case.site.restart()
    case.hand_on()
    assert (await case.go_on()).complete
    return read_key(case.path)


async def test_the_command_typed_once_more_after_the_end_begins_no_other_change(case):
    new = await changed(case)
    for lost in (False, True):
        result = await case.go_on(lost=lost)
        assert (result.complete, "--again" in result.told) == (True, True)
    assert case.over
    assert read_key(case.path) == new
    assert (await case.go_on(again=True)).step is RotationStep.RESTART
    assert read_operator_keys(case.path).former.key == new


@pytest.mark.parametrize(("age_s", "begins"), [(ANOTHER_AFTER_S + 60, True), (ANOTHER_AFTER_S - 60, False)])
async def test_a_day_after_a_change_another_one_begins(case, age_s, begins):
    await changed(case)
    at = time.time() - age_s
    os.utime(case.path, (at, at))
    assert ((await case.go_on()).step is RotationStep.RESTART) == begins


async def test_a_key_of_another_days_clock_is_not_changed_unasked(case):
    await changed(case)
    at = time.time() + 10 * ANOTHER_AFTER_S
    os.utime(case.path, (at, at))
    assert (await case.go_on()).complete


async def test_a_present_key_that_is_lost_while_an_earlier_one_has_coin(case):
    case.sign(await case.go_on())
    await case.go_on()
    case.path.unlink()
    with pytest.raises(NoContext, match="not there"):
        await case.go_on()
    result = await case.go_on(lost=True)
    assert result.step is RotationStep.NAME
    case.sign(result)
    assert (await case.go_on(lost=True)).step is RotationStep.RESTART
    found = read_operator_keys(case.path)
    assert found.former.key == case.old
    assert found.current is not None


async def test_rights_of_a_stolen_key_end_before_the_restart_also_where_the_naming_alone_was_signed(case):
    result = await case.go_on(lost=True)
    sign(case.chain, case.owner, result.transactions[:2])
    result = await case.go_on(lost=True)
    assert (result.step, len(result.transactions)) == (RotationStep.TAKE_BACK, 2)
    case.sign(result)
    assert (await case.go_on(lost=True)).step is RotationStep.RESTART


KILLED = ("make_following", "switch", "forget_former", "read_operator_keys", "next_step")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", KILLED)
async def test_a_command_that_is_killed_at_any_step_ends_the_same(case, monkeypatch, name, after):
    """Each run is killed where it first comes to that place; one goes through, and then the others act."""
    real, kills = getattr(procedure, name), 0

    def dies(*arguments):
        nonlocal kills
        kills += 1
        if after:
            real(*arguments)
        raise KeyboardInterrupt

    while True:
        with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
            patched.setattr(procedure, name, dies)
            await case.go_on()
        if case.over:
            break
        result = await case.go_on()
        if case.over:
            break
        case.sign(result)
        if result.step is RotationStep.RESTART:
            case.site.restart()
            case.hand_on()
    assert kills
    assert case.chain.operators == {(case.owner, address_of(read_key(case.path)))}


async def test_people_and_programs_read_the_same(case):
    result = await case.go_on()
    lines = list(result.lines(QrRoom(None, None, coloured=False)))
    assert lines[0] == f"operator's key: {address_of(case.old)}"
    assert sum(line.startswith("to sign:") for line in lines) == 2
    assert any("█" in line for line in lines)
    plain = result.plain()
    assert (plain["complete"], plain["step"], len(plain["transactions"])) == (False, "name", 2)
