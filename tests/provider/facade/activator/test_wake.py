# SPDX-License-Identifier: Apache-2.0
"""The words between activator and daemon."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import NetworkFailure, RemoteProtocolError
from trustedpods.provider.facade.activator.wake import (
    STANDBY_RETRY_S,
    UNSAID,
    WakeAddress,
    WakeRefusal,
    answer_line,
    ask,
    ask_line,
    parse_answer,
    parse_ask,
    refuse_wakes,
    serve_wakes,
)

ANSWERS = st.one_of(
    st.builds(WakeAddress, st.ip_addresses().map(str), st.integers(1, 65535)),
    st.builds(WakeRefusal, st.just(UNSAID), st.integers(0, 86400), parked=st.booleans()),
)


@given(ANSWERS)
def test_answers_come_back(answer):
    assert parse_answer(answer_line(answer)) == answer


@given(st.integers(0, 65535))
def test_questions_come_back(slot):
    assert parse_ask(ask_line(slot)) == slot


@given(
    st.one_of(
        st.binary(max_size=200), st.recursive(st.none() | st.integers(), st.lists).map(repr).map(str.encode)
    )
)
def test_anything_else_is_refused(line):
    with pytest.raises(RemoteProtocolError):
        parse_ask(line)
    with pytest.raises(RemoteProtocolError):
        parse_answer(line)


@pytest.mark.parametrize(
    "line",
    [
        b'{"slot": true}',
        b'{"slot": -1}',
        b'{"slot": "3"}',
        b'{"address": "example.org", "port": 80}',
        b'{"address": "10.0.0.1", "port": 0}',
        b'{"error": "x"}',
        b'{"retryAfter": -1}',
        b'{"retryAfter": "5"}',
        b"[" * 4000,
    ],
)
def test_lines_of_a_wrong_shape_are_refused(line):
    with pytest.raises(RemoteProtocolError):
        parse_ask(line)
    with pytest.raises(RemoteProtocolError):
        parse_answer(line)


async def test_the_daemon_answers_many_at_once(tmp_path, nursery):
    everybody = trio.Event()
    asked = []

    async def answer(slot):
        asked.append(slot)
        if len(asked) == 5:
            everybody.set()
        await everybody.wait()
        return WakeAddress("10.0.0.1", 8000 + slot)

    await nursery.start(serve_wakes, tmp_path / "wake.sock", answer)
    answers = {}

    async def one(slot):
        answers[slot] = await ask(tmp_path / "wake.sock", slot)

    async with trio.open_nursery() as clients:
        for slot in range(5):
            clients.start_soon(one, slot)
    assert answers == {slot: WakeAddress("10.0.0.1", 8000 + slot) for slot in range(5)}


async def test_a_question_that_is_given_up_is_cancelled(tmp_path, nursery):
    cancelled = trio.Event()

    async def answer(slot):
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    await nursery.start(serve_wakes, tmp_path / "wake.sock", answer)
    with trio.move_on_after(0.05):
        await ask(tmp_path / "wake.sock", 1)
    with trio.fail_after(2):
        await cancelled.wait()


async def test_a_failure_of_one_answer_does_not_end_the_others(tmp_path, nursery):
    async def answer(slot):
        if slot == 1:
            raise RuntimeError("a bug")
        return WakeRefusal("no")

    await nursery.start(serve_wakes, tmp_path / "wake.sock", answer)
    with pytest.raises(NetworkFailure):
        await ask(tmp_path / "wake.sock", 1)
    assert await ask(tmp_path / "wake.sock", 2) == WakeRefusal(UNSAID)


@given(st.text(), st.integers(0, 86400))
def test_no_reason_leaves_the_daemon(reason, retry_after):
    """It may hold a pod's last words, and with them a password."""
    line = answer_line(WakeRefusal(reason, retry_after))
    assert line == answer_line(WakeRefusal("", retry_after))
    assert parse_answer(line) == WakeRefusal(UNSAID, retry_after)


async def test_garbage_closes_the_connection(tmp_path, nursery):
    async def answer(slot):
        return WakeRefusal("no")

    await nursery.start(serve_wakes, tmp_path / "wake.sock", answer)
    for garbage in (b"hello\n", b"x" * 10_000):
        stream = await trio.open_unix_socket(str(tmp_path / "wake.sock"))
        with trio.fail_after(2):
            try:
                await stream.send_all(garbage)
                assert await stream.receive_some(100) == b""
            except trio.BrokenResourceError:
                pass
        await stream.aclose()


async def test_nobody_there_is_a_network_failure(tmp_path):
    with pytest.raises(NetworkFailure):
        await ask(tmp_path / "wake.sock", 1)


async def test_a_daemon_that_stands_by_sends_whoever_is_held_elsewhere(tmp_path, nursery):
    path = tmp_path / "wake.sock"
    nursery.start_soon(refuse_wakes, path)
    with trio.fail_after(60):
        while not path.is_socket():
            await trio.sleep(0.01)
        answer = await ask(path, 3)
    assert answer == WakeRefusal(UNSAID, STANDBY_RETRY_S)
