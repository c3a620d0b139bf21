# SPDX-License-Identifier: Apache-2.0
"""A command on two clusters while the API server of one of them fails: no half write survives it."""

from collections import Counter

import pytest
import trio

from tests.examples import some
from tests.networks.daemons import Two
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.networks.documents import Commit, Prepare, ReadCopy
from trustedpods.protocol.networks.leases import LEASE_MS, Acquire, Release
from trustedpods.publisher.core.networks.locking import TRIES

STEPS = (Acquire, ReadCopy, Prepare, Commit, Release)
FAULTS = ("away", "busy", "conflict", "late", "lost", "slow")
"""`busy` stands for 429 and 500, which the door to Kubernetes does not tell apart."""

FOR_EVER = 4 * TRIES
"""More writes than a command tries before it gives up."""

CASES = [(step, fault, times) for step in STEPS for fault in FAULTS for times in (1, FOR_EVER)]


def names(case):
    return f"{case[0].__name__}-{case[1]}-{case[2]}"


class Trouble:
    """From the first question of kind *step* to the second cluster on: its API server fails so many times."""

    def __init__(self, two, step, fault, times):
        self.api, self.step, self.fault, self.times = two.daemons["k2"].cluster, step, fault, times
        self.asked = Counter()

    def on_its_way(self, question):
        if not isinstance(question, self.step):
            return
        self.asked[self.step] += 1
        if self.fault == "away":
            self.api.unreachable = self.asked[self.step] <= self.times
        elif self.asked[self.step] == 1:
            self.api.network_faults = [self.fault] * self.times

    async def ends(self):
        self.api.unreachable = False
        late = self.api.network_faults[:1] == ["late"] or self.fault == "late"
        self.api.network_faults = []
        if late and self.step is not ReadCopy:
            try:
                await self.api.late_write_arrives()
            except (Refused, AssertionError):
                return  # it does not fit what stands there by now, or no write was held up


@pytest.mark.parametrize("case", some(CASES), ids=names)
async def test_no_half_write_survives(case, virtual_time):
    """The command ends well or with an error; the next finds copies that a write explains, and goes on."""
    two = Two()
    trouble = Trouble(two, *case)
    first = two.client()
    first.doors["k2"].on_its_way = trouble.on_its_way
    written = await two.tried(first)
    await trouble.ends()
    if case[2] == 1 or case[0] is Release:
        assert written is not None, "once is asked again; a release says nothing of the write"
    seen = await two.client().read()
    assert seen == written if written else seen.generation <= 1
    began = trio.current_time()
    base, after = await two.write(two.client(), wait_s=600)
    assert trio.current_time() - began <= LEASE_MS / 1000 + 5
    assert written is None or base == written, "what was told as written counts"
    assert after.generation == base.generation + 1
    two.check_whole(after)


async def test_while_one_is_away_the_other_changes_nothing_and_keeps_no_lease(virtual_time):
    two = Two()
    _, document = await two.write(two.client())
    two.daemons["k2"].cluster.unreachable = True
    assert await two.tried(two.client()) is None
    two.daemons["k2"].cluster.unreachable = False
    two.check_whole(document)
