# SPDX-License-Identifier: Apache-2.0
"""The operator's door of a whole daemon, over real streams: what is answered, and each way to be refused."""

import json
import secrets
from dataclasses import replace

import pytest
import trio

from tests.fakes.provider.caller import serving
from tests.fakes.provider.world import MARKER, World
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.envelopes import ErrorReply
from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError, StoreFailure
from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.net import open_host
from trustedpods.protocol.net.addresses import PeerAddress
from trustedpods.protocol.net.upgrade import Identity
from trustedpods.protocol.protocol_ids import OPERATOR
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.admin.remote import door
from trustedpods.provider.admin.remote.door import Pace
from trustedpods.provider.admin.remote.question import (
    MAX_FRAME,
    MAX_LIFETIME_S,
    OperatorAnswer,
    addressee,
    signed,
)

PODS = '{"verb": "pods"}'
ASKER = b"\5" * 32
"""Seed of the peer that asks."""


def peer_of(seed):
    """Its id."""
    return Identity.from_seed(seed).peer_id


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, asked_from_outside=True)


class Operator:
    """Who asks the daemon at *address*, with a key that may be anybody's."""

    def __init__(self, world, parts, address):
        self.world, self.address = world, address
        self.to = addressee(parts.doors.config, PeerAddress.parse(address).peer_id)

    def sign(self, question=PODS, key=None, to=None, now=None, asker=ASKER):
        now = UnixSeconds(int(self.world.now)) if now is None else now
        return signed(key or self.world.operator_key, peer_of(asker), question, to or self.to, now)

    async def send(self, raw, asker=ASKER):
        """The answer to a frame of any bytes."""
        async with (
            open_host(asker, []) as host,
            host.dial(self.address, 30) as connection,
            connection.stream(OPERATOR) as stream,
        ):
            await stream.send(raw)
            return decode(await stream.receive(timeout=None), OperatorAnswer, ErrorReply)

    async def ask(self, **given):
        """The JSON of an answer."""
        answer = await self.send(encode(self.sign(**given)))
        assert isinstance(answer, OperatorAnswer), answer
        return json.loads(answer.answer)

    async def refused(self, **given):
        """The rule of a refusal."""
        return (await self.refusal(encode(self.sign(**given)))).rule

    async def refusal(self, raw):
        """The refusal of a frame."""
        answer = await self.send(raw)
        assert isinstance(answer, ErrorReply), answer
        return answer


async def test_the_owner_and_the_operator_are_told_of_pods_in_numbers_alone(world):
    async with serving(world) as (parts, caller):
        operator = Operator(world, parts, caller.address)
        told = await operator.ask()
        assert told == await operator.ask(key=world.owner_key)
        (pod,) = told["pods"]
        record = parts.pods.get(caller.ref.channel)
        assert (pod["label"], pod["phase"], pod["services"], pod["why"]) == (
            record.label, "serving", {}, None,
        )  # fmt: skip
        whole = await operator.ask(question='{"verb": "overview"}')
        assert whole["pods"][0]["size"]["memoryMib"] == record.size.memory_mib
        for secret in (MARKER, caller.ref.publisher):
            assert secret not in json.dumps([told, whole])


async def test_a_pod_is_sent_away_and_a_drain_is_taken_back(world, virtual_time):
    async with serving(world) as (parts, caller):
        operator, label = Operator(world, parts, caller.address), parts.pods.get(caller.ref.channel).label
        (told,) = (await operator.ask(question='{"verb": "drain", "reason": "x", "hours": 5}'))["pods"]
        assert told == {"label": label, "phase": "serving", "settled": False}
        health = await operator.ask(question='{"verb": "health"}')
        assert (health["draining"], health["pods"]) == ("x", 1)
        await operator.ask(question='{"verb": "drain", "undo": true}')
        assert (await operator.ask(question='{"verb": "health"}'))["draining"] is None
        gone = await operator.ask(question=json.dumps({"verb": "evict", "target": label, "reason": "abuse"}))
        assert [pod["label"] for pod in gone["pods"]] == [label]


@pytest.fixture
async def operator(world):
    async with world.run() as (parts, address):
        yield Operator(world, parts, address)


async def test_what_is_not_signed_by_a_key_that_may_ask_for_this_daemon_in_this_boot_is_refused(operator):
    assert await operator.refused(key=secrets.token_bytes(32)) == "operator-signature"
    for change in ({"peer_id": bytes(38)}, {"daemon": 2}, {"chain_id": 1}, {"owner": "0x" + "11" * 20}):
        assert await operator.refused(to=replace(operator.to, **change)) == "operator-signature"
    good = operator.sign()
    for change in (
        {"question": '{"verb": "drain"}'},
        {"nonce": bytes(32)},
        {"expiry": good.expiry + 1},
        {"signature": bytes(65)},
    ):
        raw = encode(good.model_copy(update=change))
        assert (await operator.refusal(raw)).rule == "operator-signature"


async def test_a_question_counts_once(operator):
    raw = encode(operator.sign())
    assert isinstance(await operator.send(raw), OperatorAnswer)
    assert (await operator.refusal(raw)).rule == "replay"


async def test_a_question_is_of_the_peer_that_it_was_signed_for_with_books_or_without(operator):
    raw, other = encode(operator.sign()), b"\6" * 32
    assert (await operator.send(raw, other)).rule == "operator-signature"
    with operator.world.disk.failing():
        assert isinstance(await operator.send(raw), OperatorAnswer)
        assert (await operator.send(raw, other)).rule == "operator-signature"


async def test_a_question_is_good_for_a_while(operator):
    now = UnixSeconds(int(operator.world.now))
    assert await operator.refused(now=now - 1000) == "expired"
    assert await operator.refused(now=now + MAX_LIFETIME_S) == "expiry-too-far"


@pytest.mark.parametrize(
    "question", ['{"verb": "claim"}', '{"verb": "evict", "target": "a", "reason": "b", "deny": true}', "{}"]
)
async def test_what_is_in_no_list_is_refused(operator, question):
    assert await operator.refused(question=question) == "operator-verb"


@pytest.mark.parametrize("question", ["", "pods", "[]", '{"verb": "pods", "verb": "drain"}'])
async def test_what_is_no_question_is_bad_input(operator, question):
    assert (await operator.refusal(encode(operator.sign(question=question)))).code == "bad-input"


async def test_another_message_or_one_too_long_is_refused_and_the_door_stays_open(operator):
    for raw in (encode(Done()), b"\xc1"):
        assert (await operator.refusal(raw)).code == RemoteProtocolError.code
    with pytest.raises(NetworkFailure):
        await operator.send(bytes(MAX_FRAME + 1))
    assert (await operator.ask())["pods"] == []


async def test_who_says_nothing_is_no_hindrance(operator):
    pushed_out = trio.Event()

    async def idle(connection):
        try:
            async with connection.stream(OPERATOR) as stream:
                await stream.receive(timeout=None)
        except NetworkFailure:
            pushed_out.set()

    async with (
        open_host(None, []) as host,
        host.dial(operator.address, 30) as connection,
        trio.open_nursery() as nursery,
    ):
        for _ in range(door.MAX_LISTENING + 1):
            nursery.start_soon(idle, connection)
        with trio.fail_after(door.FIRST_FRAME_WITHIN_S):  # before the first would end by itself
            await pushed_out.wait()
        assert (await operator.ask())["pods"] == []
        nursery.cancel_scope.cancel()


async def test_without_books_it_reads_and_changes_nothing(operator):
    with operator.world.disk.failing():
        assert (await operator.ask())["pods"] == []
        refusal = await operator.refusal(encode(operator.sign('{"verb": "drain", "reason": "x"}')))
        assert (refusal.code, refusal.rule, refusal.where) == (StoreFailure.code, None, None)
        assert refusal.what == "the daemon could not do it; its log says why"
    assert (await operator.ask(question='{"verb": "health"}'))["draining"] is None


async def test_what_is_changed_from_outside_is_logged_with_who_asked(operator, caplog):
    await operator.ask(question='{"verb": "drain", "undo": true}')
    (line,) = [one.getMessage() for one in caplog.records if "from outside" in one.getMessage()]
    signer = address_of(operator.world.operator_key)
    assert line == f"`drain` was asked from outside: from 127.0.0.1, signed by {signer}"


async def test_on_a_machine_that_does_not_offer_it_nobody_answers(world):
    world.asked_from_outside = False
    async with world.run() as (parts, address):
        with pytest.raises((NetworkFailure, RemoteProtocolError)):
            await Operator(world, parts, address).ask()


def test_a_minute_has_its_number_of_questions_of_each_key():
    pace, one, other = Pace(2), Address("0x" + "11" * 20), Address("0x" + "22" * 20)
    pace.one_more(one, UnixSeconds(60))
    pace.one_more(one, UnixSeconds(119))
    with pytest.raises(Refused, match="more than 2") as refused:
        pace.one_more(one, UnixSeconds(119))
    assert refused.value.rule == "busy"
    pace.one_more(other, UnixSeconds(119))
    pace.one_more(one, UnixSeconds(120))
