# SPDX-License-Identifier: Apache-2.0
"""What the two databases say differently means the same in both."""

import json

import pytest
from sqlalchemy import literal, select

from trustedpods.provider.store.engines.dialects import WHOLE, Larger, asked_pairs

NASTY = ["", "'; DROP TABLE pods; --", "漢 字", '"quoted"', "back\\slash", "{}", "null"]


@pytest.mark.parametrize(("one", "other"), [(1, 2), (2, 1), (-5, -7), (2**62, 2**62 - 1), (0, 0)])
async def test_the_larger_of_two_is_the_larger(book, one, other):
    query = select(Larger(literal(one, WHOLE), literal(other, WHOLE)))
    async with book() as store:
        assert await store.read(lambda tx: tx.connection.execute(query).scalar()) == max(one, other)


async def test_pairs_come_back_as_they_were_asked_whatever_stands_in_them(book):
    asked = asked_pairs("asked")
    texts = select(asked.first, asked.second_text).select_from(asked.rows)
    numbers = select(asked.first, asked.second_whole).select_from(asked.rows)
    async with book() as store:
        for pairs, query in (
            ([(text, text[::-1]) for text in NASTY], texts),
            ([(text, 2**62 - place) for place, text in enumerate(NASTY)], numbers),
            ([], texts),
            ([(f"{number:048x}", number) for number in range(3000)], numbers),
        ):
            found = await store.read(
                lambda tx, query=query, pairs=pairs: [
                    tuple(row) for row in tx.connection.execute(query, {"asked": json.dumps(pairs)})
                ]
            )
            assert found == pairs
