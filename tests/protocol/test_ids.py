# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.provider.records import pod_record
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import (
    CHANNEL_BYTES,
    CHANNEL_ID_BITS,
    ChannelId,
    channel_bytes,
    channel_from_bytes,
    channel_hex,
    host_label,
)

ONE_MORE_THAN_ARE_KEPT = host_label.cache_info().maxsize + 1


@given(st.integers(0, 2**CHANNEL_ID_BITS - 1).map(ChannelId))
def test_the_bytes_of_a_channel_id_are_those_of_its_digits(channel):
    raw = channel_bytes(channel)
    assert (len(raw), raw.hex()) == (CHANNEL_BYTES, channel_hex(channel))
    assert channel_from_bytes(raw) == channel


@pytest.mark.parametrize("size", [0, CHANNEL_BYTES - 1, CHANNEL_BYTES + 1, 32])
def test_a_channel_id_has_one_length(size):
    with pytest.raises(BadInput, match=f"24 bytes, not {size}"):
        channel_from_bytes(bytes(size))


def test_a_pod_keeps_its_label_however_many_pods_there_are():
    """A provider asks for each pod's label at every turn, in one order: to keep the newest is no help."""
    record = pod_record()
    assert record.label == host_label(record.ref.channel)
    for number in range(ONE_MORE_THAN_ARE_KEPT):
        host_label(ChannelId(number))
    asked = host_label.cache_info()
    assert record.label is record.ref.label
    assert host_label.cache_info() == asked
