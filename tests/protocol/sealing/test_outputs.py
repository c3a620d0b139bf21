# SPDX-License-Identifier: Apache-2.0
"""Output behind a reply that named a key opens in its order, for its request, whole, and in no other way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.codec import decode
from trustedpods.protocol.envelopes import ErrorReply
from trustedpods.protocol.errors import LocalProtocolError, RemoteProtocolError
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.forward import MAX_PIECE, ForwardOutput
from trustedpods.protocol.sealing.inputs import InputSealer
from trustedpods.protocol.sealing.outputs import MAX_SEALED, OutputOpener, OutputSealer

KEY, DIGEST = bytes(range(32)), b"d" * 32

FROZEN = (
    "00881ad6b2da5fe6d9c802ca5a7642f4faa62a393d2b25044ef4ff7787b5903925ed3a88d8e856d36f5da7df93aebc1e"
    "2fdb636c890c0536d024134b47210520e743360e810a14afe5cabd8b90cc75b2eb"
)

FROZEN_LAST = (
    "019370dc902b87557ace84325682c85f9461f6733a671630e50761c7d985551d3af9320c9846482a5a36adb4601e802a"
    "5c5b6223e7894b6926d570736505a502718bb242bf9863b6e62d0e0a51"
)


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_what_was_sealed_opens(pieces):
    sealer, opener = OutputSealer(KEY, DIGEST), OutputOpener(KEY, DIGEST)
    for piece in pieces:
        message = ForwardOutput(connection=1, data=piece)
        body, final = opener.open(sealer.seal(message))
        assert (decode(body, ForwardOutput), final) == (message, False)
    body, final = opener.open(sealer.seal(Done(), final=True))
    assert (decode(body, Done), final) == (Done(), True)


def test_frozen_bytes():
    sealer = OutputSealer(KEY, DIGEST)
    assert sealer.seal(ForwardOutput(connection=3, data=b"pods", taken=3)).hex() == FROZEN
    assert sealer.seal(ForwardOutput(connection=3, end=True), final=True).hex() == FROZEN_LAST


@pytest.mark.parametrize(
    "opener",
    [OutputOpener(bytes(32), DIGEST), OutputOpener(KEY, b"e" * 32)],
    ids=["another key", "another request"],
)
def test_another_conversation(opener):
    refuses(opener, OutputSealer(KEY, DIGEST).seal(Done()))


def test_swapped_repeated_cut_and_bent():
    sealer = OutputSealer(KEY, DIGEST)
    first, second = (sealer.seal(Done(text=text)) for text in ("one", "two"))
    refuses(OutputOpener(KEY, DIGEST), second)
    for wrong in (first, first[:-1], first[:1], b"", bytes([second[0], second[1] ^ 1]) + second[2:]):
        opener = OutputOpener(KEY, DIGEST)
        opener.open(first)
        refuses(opener, wrong)


@pytest.mark.parametrize("mark", [b"\1", b"\2", b"\xff"])
def test_nobody_else_makes_an_end(mark):
    sealed = OutputSealer(KEY, DIGEST).seal(Done())
    refuses(OutputOpener(KEY, DIGEST), mark + sealed[1:])


def test_input_is_no_output_even_under_one_key():
    refuses(OutputOpener(KEY, DIGEST), b"\0" + InputSealer(KEY, DIGEST).seal(Done()))


def test_nothing_follows_the_last():
    sealer, opener = OutputSealer(KEY, DIGEST), OutputOpener(KEY, DIGEST)
    assert opener.open(sealer.seal(Done(), final=True))[1]
    refuses(opener, sealer.seal(Done()))


def test_a_key_seals_so_many_messages_and_no_more():
    sealer, opener = OutputSealer(KEY, DIGEST, most=2), OutputOpener(KEY, DIGEST, most=2)
    sealed = [sealer.seal(Done()) for _ in range(2)]
    with pytest.raises(LocalProtocolError):
        sealer.seal(Done())
    for one in sealed:
        opener.open(one)
    with pytest.raises(LocalProtocolError):
        opener.open(sealed[0])


def test_what_may_be_said_is_no_longer_than_what_is_read():
    text, short = "\U0001f40b" * 8192, "\U0001f40b" * 512
    for longest in (
        ErrorReply(code=short, what=text, where=text, hint=text, rule=short),
        ForwardOutput(connection=2**32 - 1, data=bytes(MAX_PIECE), taken=2**64 - 1, closed=short),
    ):
        assert len(OutputSealer(KEY, DIGEST).seal(longest)) <= MAX_SEALED


def refuses(opener, sealed):
    with pytest.raises(RemoteProtocolError) as caught:
        opener.open(sealed)
    assert caught.value.rule == "output-seal"
