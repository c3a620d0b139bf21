# SPDX-License-Identifier: Apache-2.0
"""The operator's rules in both databases."""

from trustedpods.provider.store.operator import rules
from trustedpods.provider.store.operator.rules import Rules

ONE, OTHER = "0x" + "11" * 20, "0x" + "22" * 20


async def test_rules_come_back_as_they_were_said_last(book):
    async with book() as store:
        assert await store.read(rules.load) == Rules()
        for reason in ("a new disk", "a new rack"):
            await store.write(rules.drain, reason)
        for publisher in (ONE, OTHER, ONE):
            await store.write(rules.deny, publisher)
    async with book(secret=b"o" * 32, holder="node-2") as store:  # another boot's, as after a take-over
        assert await store.read(rules.load) == Rules("a new rack", frozenset({ONE, OTHER}))
        await store.write(rules.drain, None)
        assert await store.read(rules.load) == Rules(None, frozenset({ONE, OTHER}))
