# SPDX-License-Identifier: Apache-2.0
"""Records of commands: chunks of 99, bounded in number and bytes, secrets left out by their type."""

import pytest

from tests.protocol.networks.test_content import record
from trustedpods.protocol.codec import encode
from trustedpods.protocol.networks.history import (
    CHUNK,
    MAX_ARGUMENTS,
    MAX_CHUNKS,
    MAX_HISTORY,
    Argument,
    HistoryRecord,
    SecretText,
    arguments,
    chunked,
)


def test_a_secret_is_left_out_by_its_type_and_nothing_else_is() -> None:
    kept = arguments([("token", "password=1234"), ("x", "y" * 300), ("key", SecretText("harmless"))])
    assert kept == [
        Argument(name="token", value="password=1234"),
        Argument(name="x", value="y" * 256),
        Argument(name="key", value=None),
    ]


def test_of_many_arguments_the_first_are_kept() -> None:
    kept = arguments((f"--{number}", "x") for number in range(MAX_ARGUMENTS + 1))
    assert [one.name for one in kept] == [f"--{number}" for number in range(MAX_ARGUMENTS)]


def test_120_commands_are_two_chunks() -> None:
    chunks: list[list[HistoryRecord]] = []
    for number in range(120):
        chunks, dropped = chunked(chunks, record(number))
        assert dropped == 0
    assert [len(chunk) for chunk in chunks] == [CHUNK, 120 - CHUNK]
    assert [each.generation for chunk in chunks for each in chunk] == list(range(120))


@pytest.mark.parametrize("result", ["", "r" * 256], ids=["short", "long"])
def test_history_is_bounded_and_counts_what_went(result: str) -> None:
    most = CHUNK * MAX_CHUNKS + 50
    chunks, dropped = [[record(number, result) for number in range(CHUNK)]] * MAX_CHUNKS, 0
    for number in range(50):
        chunks, gone = chunked(chunks, record(number, result))
        dropped += gone
    assert sum(len(chunk) for chunk in chunks) + dropped == most
    assert dropped % CHUNK == 0
    assert dropped > 0
    assert sum(len(encode(each)) for chunk in chunks for each in chunk) <= MAX_HISTORY


def test_one_chunk_of_the_largest_records_is_bounded_too() -> None:
    many = [Argument(name="n" * 64, value="v" * 256)] * MAX_ARGUMENTS
    huge = record().model_copy(update={"arguments": many})
    chunks: list[list[HistoryRecord]] = []
    total = 0
    for _ in range(CHUNK):
        chunks, gone = chunked(chunks, huge)
        total += gone
    assert len(chunks) == 1
    assert total == CHUNK - len(chunks[0]) > 0
    assert sum(len(encode(each)) for each in chunks[0]) <= MAX_HISTORY
