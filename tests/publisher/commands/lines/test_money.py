# SPDX-License-Identifier: Apache-2.0
"""Money as a person reads it: rough, and in full where that is asked for."""

from trustedpods.protocol.ids import channel_hex
from trustedpods.publisher.commands.lines.money import balance_lines
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.results.money import BalanceResult, ChannelBalance

OWNER = "0x" + "11" * 20
OPEN = ChannelBalance(
    7 << 200, "web", OWNER, 9_000_000, 31_270_000, b"t" * 32, "unlocking", 5_123_456, 1_800_000_000
)
CLOSED = ChannelBalance(8, None, OWNER, 1_000_000, 1_000_000, b"t" * 32, "closed", refund=250_000)


def balance(*channels):
    return BalanceResult("0x" + "22" * 20, Token("TPT", 6), 3_000_000, 10**16, 0, channels)


def test_a_balance_has_a_row_for_each_channel():
    who, holds, blank, header, first, second = balance_lines(balance(OPEN, CLOSED))
    assert (who, blank) == ("0x" + "22" * 20, "")
    assert holds == "3 TPT, 0.0100 for gas"
    assert header.split() == ["POD", "CHANNEL", "STATE", "PAID", "IN", "LEFT", "REFUND", "UNLOCKS"]
    assert first.split() == [
        "web",
        channel_hex(OPEN.channel)[:12],
        "unlocking",
        "31.27",
        "5.123",
        "2027-01-15",
        "08:00:00Z",
    ]
    assert second.split()[0] == "?"
    assert second.split()[2:] == ["closed", "1", "0.25", "-"]


def test_wide_it_is_in_full():
    row = balance_lines(balance(OPEN), wide=True)[-1].split()
    assert row[1] == channel_hex(OPEN.channel)
    assert row[4] == "5.123456"


def test_without_channels_there_is_no_table():
    assert len(balance_lines(balance())) == 2
