# SPDX-License-Identifier: Apache-2.0
"""Input behind a request opens in its order, for its request, whole, and in no other way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.messages.exec import MAX_PIECE, ExecBody, ExecInput
from trustedpods.protocol.sealing.inputs import MAX_SEALED, InputOpener, InputSealer

KEY, DIGEST = bytes(range(32)), b"d" * 32

FROZEN = (
    "8a18d1bfc14d47b978c7cd46bb49fffd10e73d3a46e5ca4af8fbd0aeac912d233afa92dd4197d605b46cc726ae"
    "9be3efe7c1a1c5bcc77818"
)


@given(st.lists(st.builds(ExecInput, data=st.binary(max_size=100), end=st.booleans()), max_size=5))
def test_what_was_sealed_opens(messages):
    sealer, opener = InputSealer(KEY, DIGEST), InputOpener(KEY, DIGEST)
    assert [opener.open(sealer.seal(message)) for message in messages] == messages


def test_the_largest_fits():
    sealed = InputSealer(KEY, DIGEST).seal(ExecInput(data=b"x" * MAX_PIECE, end=True, taken=2**64 - 1))
    assert len(sealed) <= MAX_SEALED


def test_frozen_bytes():
    sealed = InputSealer(KEY, DIGEST).seal(ExecInput(data=b"pods", taken=3))
    assert sealed.hex() == FROZEN


@pytest.mark.parametrize(
    "opener",
    [InputOpener(bytes(32), DIGEST), InputOpener(KEY, b"e" * 32)],
    ids=["another key", "another request"],
)
def test_another_conversation(opener):
    refuses(opener, InputSealer(KEY, DIGEST).seal(ExecInput(data=b"x")))


def test_swapped_repeated_cut_and_bent():
    sealer = InputSealer(KEY, DIGEST)
    first, second = (sealer.seal(ExecInput(data=data)) for data in (b"one", b"two"))
    refuses(InputOpener(KEY, DIGEST), second)
    for wrong in (first, first[:-1], bytes([second[0] ^ 1]) + second[1:], b""):
        opener = InputOpener(KEY, DIGEST)
        opener.open(first)
        refuses(opener, wrong)


def refuses(opener, sealed):
    with pytest.raises(RemoteProtocolError) as caught:
        opener.open(sealed)
    assert caught.value.rule == "input-seal"


def test_a_command_is_in_no_representation():
    body = ExecBody(command=["a-secret-word"], input_key=b"k" * 32, stdin=True, container="app")
    assert "a-secret-word" not in f"{body!r} {body}"
    assert "kkk" not in f"{body!r} {body}"
