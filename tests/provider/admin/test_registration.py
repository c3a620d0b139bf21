# SPDX-License-Identifier: Apache-2.0
"""What `register` writes: the row of the daemon that answers, with the machine that it attests."""

import logging
from dataclasses import replace

import pytest

from tests.fakes.chain.state import address_of
from tests.fakes.provider.caller import ADMIN_SOCKET, Caller
from tests.fakes.provider.peer import make_root
from tests.fakes.provider.world import World
from trustedpods.protocol.attestation.chip import NO_CHIP
from trustedpods.protocol.errors import EvidenceRefused, Refused
from trustedpods.provider.admin.registration import row_of
from trustedpods.provider.admin.socket import ask_daemon
from trustedpods.provider.admin.views import DaemonIdentity, IdentityRequest, read_answer
from trustedpods.provider.config import GasSection
from trustedpods.provider.daemon.registry_row import HEARTBEAT_EVERY_S, ROW, mend_registry_row
from trustedpods.provider.tee import SimulatedTee
from trustedpods.publisher.core.trust import check_chip_against_row


async def identity_of(world):
    return await ask_daemon(world.tmp_path / ADMIN_SOCKET, IdentityRequest(), DaemonIdentity)


@pytest.fixture
def sealed(tmp_path):
    world = World(tmp_path, trust="sealed")
    (tmp_path / "machine.pem").write_text(make_root(world.chain).machine_pem)
    world.collector = SimulatedTee(tmp_path / "machine.pem")
    return world


async def test_the_row_names_the_machine_that_the_evidence_names(sealed):
    async with sealed.run() as (parts, address):
        row = row_of(parts.doors.config, await identity_of(sealed))
        attested = await Caller(sealed, address).attest()
    chip = attested.evidence.report[0x1A0:0x1E0]
    assert row.chip_digest != NO_CHIP
    check_chip_against_row(chip, row)
    with pytest.raises(EvidenceRefused) as caught:
        check_chip_against_row(bytes(64), row)
    assert caught.value.rule == "chip-digest"
    assert (row.trust, row.tee, row.endpoint) == ("sealed", ["sev-snp"], address)


async def test_class_open_without_a_tee_names_none(tmp_path):
    world = World(tmp_path)
    async with world.run() as (parts, _):
        row = row_of(parts.doors.config, await identity_of(world))
    assert (row.trust, row.tee, row.chip_digest) == ("open", [], NO_CHIP)


@pytest.mark.parametrize("broken", [{}, {"chip": "00" * 31}, {"chip": "rubbish"}, {"profile": None}])
async def test_an_answer_that_is_no_identity_is_refused(sealed, broken):
    async with sealed.run() as (parts, _):
        answer = ((await identity_of(sealed)).plain() | broken) if broken else {}
        with pytest.raises(Refused) as caught:
            row_of(parts.doors.config, read_answer(DaemonIdentity, "identity", answer))
    assert caught.value.rule == "identity"


async def test_a_row_of_another_machine_is_said_in_the_log(sealed, caplog):
    async with sealed.run() as (parts, address):
        row = row_of(parts.doors.config, await identity_of(sealed))
        profile = (await identity_of(sealed)).profile
        where = row.owner, row.daemon
        for chip, said in ((row.chip_digest, False), (NO_CHIP, False), (b"x" * 32, True)):
            caplog.clear()
            sealed.chain.rows[where] = replace(row, chip_digest=chip, updated_at=sealed.chain.now)
            with caplog.at_level(logging.ERROR):
                assert not await mend_registry_row(parts.doors, profile, address)
            assert ("names another machine" in caplog.text) is said


async def test_a_heartbeat_waits_for_the_next_days_gas_while_the_row_is_listed(sealed):
    async with sealed.run() as (parts, address):
        identity = await identity_of(sealed)
        row = row_of(parts.doors.config, identity)
        where, began = (row.owner, row.daemon), sealed.chain.now
        sealed.chain.rows[where] = replace(row, updated_at=began, endpoint=address)
        sealed.chain.operators.add((row.owner, address_of(sealed.operator_key)))
        gas = GasSection(most_wei_per_day=0)
        doors = replace(parts.doors, config=parts.doors.config.model_copy(update={"gas": gas}))
        sealed.pass_time(HEARTBEAT_EVERY_S + 1)
        assert not await mend_registry_row(doors, identity.profile, address)
        assert (sealed.chain.rows[where].updated_at, doors.gas.waiting[ROW]) == (began, 1)
        sealed.pass_time(
            2 * HEARTBEAT_EVERY_S - 3600
        )  # three days are over before the next day's first hour is
        assert await mend_registry_row(doors, identity.profile, address)
        assert sealed.chain.rows[where].updated_at == sealed.chain.now
        assert (doors.gas.waiting[ROW], doors.gas.sending) == (0, {})


async def test_a_row_that_is_true_gets_a_heartbeat_once_a_day(sealed):
    async with sealed.run() as (parts, address):
        identity = await identity_of(sealed)
        row = row_of(parts.doors.config, identity)
        where = row.owner, row.daemon
        sealed.chain.rows[where] = replace(row, updated_at=sealed.chain.now, endpoint=address)
        sealed.chain.operators.add((row.owner, address_of(sealed.operator_key)))
        assert not await mend_registry_row(parts.doors, identity.profile, address)
        sealed.pass_time(HEARTBEAT_EVERY_S + 1)
        assert await mend_registry_row(parts.doors, identity.profile, address)
        assert sealed.chain.rows[where].updated_at == sealed.chain.now
        assert not await mend_registry_row(parts.doors, identity.profile, address)
