# SPDX-License-Identifier: Apache-2.0
"""What a start reads of pods: whole records of those that stand or ended lately, little of the others."""

import pytest

from tests.fakes.provider.records import OWNER, PUBLISHER, pod_record
from trustedpods.protocol.ids import PodRef
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.pod import ENDED, Phase
from trustedpods.provider.store import Vault, open_store, pods

THEN = 1000


def record(number, **changes):
    return pod_record(ref=PodRef(OWNER, PUBLISHER, bytes([number]) * 32), **changes)


@pytest.mark.parametrize("phase", sorted(ENDED))
async def test_of_what_ended_long_ago_a_start_reads_no_more_than_that_it_was_here(tmp_path, phase):
    stands = record(1, phase=Phase.SERVING, changed_at=THEN - 1)
    lately = record(2, phase=phase, changed_at=THEN)
    seen = record(3, phase=phase, changed_at=THEN - 1, generation=8)
    billed = record(4, phase=phase, changed_at=THEN - 1, chain=None, statement=b"signed")
    unpaid = record(5, phase=phase, changed_at=THEN - 1, chain=None)
    async with open_store(tmp_path / "books.db", Vault(bytes(32))) as store:
        for one in (stands, lately, seen, billed, unpaid):
            await store.write(pods.save, one)
        records, long_ended = await store.read(pods.load_at_start, UnixSeconds(THEN))
    assert sorted(records, key=lambda one: one.changed_at) == [stands, lately]
    assert {(one.channel, one.generation, one.known_to_pay) for one in long_ended} == {
        (one.channel, one.generation, one.known_to_pay) for one in (seen, billed, unpaid)
    }
