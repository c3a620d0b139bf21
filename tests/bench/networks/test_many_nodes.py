# SPDX-License-Identifier: Apache-2.0
"""Fifty nodes on ten providers cost five times what ten do, in all that providers and people notice."""

import pytest

from tests.bench.networks.many_nodes import CLUSTERS, NEIGHBOURS, figures


async def test_a_rolling_change_of_addresses_is_linear_in_nodes(virtual_time):
    few, many = await figures(10), await figures(50)
    for one in (few, many):
        assert one.one.documents == 2 * len(CLUSTERS), "one is written before its node is touched, one after"
        assert one.one.books == one.nodes, "all others are told of it, and it of what came meanwhile"
        assert one.all.documents == 2 * len(CLUSTERS) * one.nodes
        assert one.all.books <= (NEIGHBOURS + 1) * one.nodes
    assert many.one.written <= 5 * few.one.written
    assert many.one.books == 5 * few.one.books
    assert many.all.books == pytest.approx(5 * few.all.books, rel=0.3)
