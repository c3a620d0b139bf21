# SPDX-License-Identifier: Apache-2.0
"""Questions and answers about networks come out of their messages as they went in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.networks import (
    MAX_DOCUMENT,
    NETWORK_QUESTIONS,
    NETWORK_REPLIES,
    AttemptText,
    CommandText,
    DocumentBytes,
    PrepareBody,
    ReadBody,
)
from trustedpods.protocol.networks import wire
from trustedpods.protocol.networks.documents import (
    NOTHING,
    Commit,
    Copy,
    Document,
    Generation,
    Prepare,
    ReadCopy,
    Remove,
    Repair,
    StaleBase,
    Written,
)
from trustedpods.protocol.networks.leases import (
    Acquire,
    AskLease,
    Attempt,
    AwaitEnd,
    Behind,
    BreakLease,
    Broken,
    Command,
    Ended,
    Fence,
    Granted,
    LeaseStatus,
    LeaseWaiter,
    Milliseconds,
    NotHeld,
    Release,
    Released,
    Renew,
)
from trustedpods.protocol.units import UnixSeconds

NOW = UnixSeconds(1_800_000_000)
counters = st.integers(0, (1 << 62) - 1)
addresses = st.binary(min_size=20, max_size=20).map(address_from_bytes)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=512)
attempts = st.builds(Attempt, counters, st.binary(min_size=16, max_size=16).map(bytes.hex), addresses)
commands = st.builds(Command, texts, texts, st.integers(0, 1 << 40).map(UnixSeconds))
fences = counters.map(Fence)
lengths = st.integers(0, (1 << 32) - 1).map(Milliseconds)
documents = st.builds(Document, st.integers(1, 1 << 60).map(Generation), st.binary(min_size=1, max_size=40))
currents = documents | st.just(NOTHING)
copies = st.builds(Copy, currents, st.none() | documents)
reasons = texts.filter(bool)
broken = st.builds(Broken, attempts, commands, addresses, texts, st.just(NOW))
waiting = st.builds(LeaseWaiter, attempts, commands, st.booleans())

questions = st.one_of(
    st.builds(Acquire, attempts, commands),
    st.builds(Renew, attempts, fences),
    st.builds(Release, attempts, st.booleans()),
    st.builds(AwaitEnd, attempts, attempts),
    st.just(ReadCopy()),
    st.just(AskLease()),
)
answers = st.one_of(
    st.builds(Granted, attempts, fences, lengths),
    st.builds(Behind, attempts, attempts, commands, st.none() | lengths),
    st.sampled_from([Ended(), Released(), NotHeld(), Written()]),
    copies,
    st.builds(StaleBase, copies),
    st.builds(
        LeaseStatus,
        fences,
        st.none() | attempts,
        st.none() | commands,
        st.none() | lengths,
        st.lists(waiting, max_size=3).map(tuple),
        st.lists(broken, max_size=3).map(tuple),
    ),
)


def arrived(question, copy):
    """What a cluster that holds *copy* is asked, after the wire."""
    signer = address_from_bytes(bytes(20))
    body = decode(encode(wire.body_of(question, "shop")), *NETWORK_QUESTIONS)
    return wire.question_of(body, copy, signer, NOW)


@given(questions)
def test_questions(question):
    assert arrived(question, Copy()) == question


@given(answers)
def test_answers(answer):
    assert wire.answer_of(decode(encode(wire.reply_of(answer)), *NETWORK_REPLIES)) == answer


@given(attempts, fences, copies, documents)
def test_writes_name_what_the_other_side_has(attempt, fence, copy, document):
    for question in (
        Prepare(attempt, fence, copy.current, document),
        Commit(attempt, fence, copy.pending or copy.current),
        Repair(attempt, fence, copy, document),
        Remove(attempt, fence, copy.current),
    ):
        assert arrived(question, copy) == question


@given(attempts, fences, documents, documents)
def test_a_document_that_is_not_there_is_no_other_one(attempt, fence, here, named):
    if here == named:
        return
    copy = Copy(here)
    asked = arrived(Commit(attempt, fence, named), copy)
    assert asked.document not in (copy.current, copy.pending, NOTHING)


@given(attempts, reasons)
def test_a_break_is_signed_by_whoever_asked_and_dated_by_the_daemon(attempt, reason):
    asked = BreakLease(attempt, attempt.who, reason, UnixSeconds(1))
    assert arrived(asked, Copy()) == BreakLease(attempt, address_from_bytes(bytes(20)), reason, NOW)


@pytest.mark.parametrize("document", [(0, b""), (0, b"x"), (1, b"")])
def test_no_document_is_none(document):
    attempt = AttemptText(ticket=1, id="0" * 32, who=bytes(20))
    body = PrepareBody(
        network="shop",
        attempt=attempt,
        fence=1,
        base=wire.name_of(NOTHING),
        document=DocumentBytes(generation=document[0], body=document[1]),
    )
    with pytest.raises(RemoteProtocolError):
        wire.question_of(body, Copy(), address_from_bytes(bytes(20)), NOW)


def test_bounds():
    with pytest.raises(ValueError, match="generation"):
        DocumentBytes(generation=1 << 62, body=b"")
    with pytest.raises(ValueError, match="body"):
        DocumentBytes(generation=1, body=bytes(MAX_DOCUMENT + 1))
    for name in ("", "A", "1a", "a-", "a" * 41, "a.b", "a\n"):
        with pytest.raises(ValueError, match="network"):
            ReadBody(network=name)
    assert ReadBody(network="a" * 40).network == "a" * 40
    with pytest.raises(ValueError, match="what"):
        CommandText(what="x" * 513, machine="", since=0)
    assert len(wire.command_text(Command("x" * 9999, "y" * 9999, NOW)).what) == wire.MAX_WORDS


def test_another_message_is_no_answer():
    with pytest.raises(RemoteProtocolError):
        wire.answer_of(Done())
