# SPDX-License-Identifier: Apache-2.0
"""An honest bill holds in every check; each way to cheat fails exactly the checks that it breaks."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.publisher.core.test_bill import OWNER, PAYMENTS, SHAPE, START, account, report
from trustedpods.contracts.merkle import leaf, proofs, root
from trustedpods.contracts.records import Channel, Submission
from trustedpods.contracts.settlement import settle
from trustedpods.contracts.terms import MAX_DEPOSIT
from trustedpods.contracts.usage import UsageItem
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.messages.usage import UsageLeaf, UsageReport
from trustedpods.protocol.units import TokenUnits, UnixSeconds, Usage
from trustedpods.publisher.core.audit import OnChain, UsageBounds, audit
from trustedpods.publisher.core.bill import make_bill
from trustedpods.publisher.state.usage_leaves import keep_leaves, load_leaves

METER = 5
BOUNDS = UsageBounds(SHAPE, idle_mib=16)
PERIODS = [
    (10, Usage(500 * 7, 64 * 7, 160, 3, 4)),
    (20, Usage(500 * 40, 64 * 40, 320, 9, 9)),
    (5, Usage(0, 0, 80, 0, 0)),
]


class Story:
    """A provider's report and what its claims left on chain."""

    def __init__(self, periods=PERIODS, held=None):
        self.account = held or account()
        self.report = report(periods)
        self.submissions, channel = (
            {},
            Channel(ChannelId(77), METER, UnixSeconds(START), TokenUnits(MAX_DEPOSIT), self.account.terms),
        )
        for number, part in enumerate(self.report.leaves):
            item = UsageItem(ChannelId(77), part.from_, part.up_to, Usage(*part.usage))
            settled = settle(channel, item, METER, part.up_to)
            channel = settled.channel
            stranger = replace(settled.result, channel_low=78)
            mined = Submission(bytes([number]) * 32, number, (stranger, settled.result))
            self.submissions[part.root] = [mined]
        self.channel, self.kept, self.bounds = channel, [], BOUNDS
        self.claimed = MAX_DEPOSIT - channel.left
        self.meter, self.opened_at = METER, START

    def change_leaf(self, number, **fields):
        leaves = list(self.report.leaves)
        leaves[number] = leaves[number].model_copy(update=fields)
        self.report = UsageReport(leaves=leaves, open_usage=self.report.open_usage)

    @property
    def verdicts(self):
        bill = make_bill(self.account, self.report, self.opened_at)
        chain = OnChain(self.channel, self.opened_at, self.claimed, self.submissions, self.meter)
        found = audit(self.account, self.report.leaves, bill, chain, self.bounds, self.kept)
        return {finding.check: finding.holds for finding in found}

    @property
    def failing(self):
        return {check for check, holds in self.verdicts.items() if holds is False}


def test_an_honest_bill_holds():
    story = Story()
    story.kept = story.report.leaves[:2]
    assert story.failing == set()
    assert {check for check, holds in story.verdicts.items() if holds is None} == {"traffic"}


def test_a_channel_that_ended_is_audited_all_the_same():
    story = Story()
    story.channel = None
    assert story.failing == set()
    assert story.verdicts["meter"] is None


def test_what_is_only_announced_is_not_yet_paid():
    story = Story()
    first = story.report.leaves[0]
    last = story.report.leaves[-1]
    del story.submissions[last.root]
    story.submissions[last.root] = []
    story.channel = replace(story.channel, up_to=last.from_)
    story.claimed = sum(story.submissions[part.root][0].results[1].paid for part in story.report.leaves[:-1])
    assert first.from_ == START
    assert story.failing == set()


def test_a_node_that_forgets_makes_nothing_fail():
    story = Story()
    story.opened_at = story.claimed = story.bounds = None
    story.submissions = dict.fromkeys(story.submissions)
    assert story.failing == set()
    unknown = {check for check, holds in story.verdicts.items() if holds is None}
    assert unknown == {"roots", "whole", "sum", "replicas", "storage", "traffic"}


def overstated(story):
    """A leaf that says more than was signed."""
    story.change_leaf(1, usage=[10**6, 0, 0, 0, 0])


def understated(story):
    """A leaf that says less than what was paid for."""
    story.change_leaf(1, usage=[1, 0, 0, 0, 0])


def missing(story):
    story.report = UsageReport(
        leaves=[story.report.leaves[0], story.report.leaves[2]], open_usage=story.report.open_usage
    )


def cut_short(story):
    story.report = UsageReport(leaves=story.report.leaves[:2], open_usage=story.report.open_usage)


def unpublished(story):
    """A batch that the chain never saw, for a period that it settled."""
    part = story.report.leaves[1]
    item = UsageItem(ChannelId(77), part.from_, part.up_to, Usage(*part.usage))
    hashes = [leaf(31337, PAYMENTS, OWNER, item), b"\x07" * 32]
    story.change_leaf(1, root=root(hashes), proof=proofs(hashes)[0])
    story.submissions[root(hashes)] = []


def overpaid(story):
    [mined] = story.submissions[story.report.leaves[1].root]
    result = replace(mined.results[1], paid=mined.results[1].paid + 7)
    story.submissions[story.report.leaves[1].root] = [replace(mined, results=(mined.results[0], result))]
    story.claimed += 7


def foreign(story):
    story.meter = METER + 1


def rewritten(story):
    story.kept = [story.report.leaves[0].model_copy(update={"usage": [1, 2, 3, 4, 5]})]


def withdrawn(story):
    story.kept = [story.report.leaves[0].model_copy(update={"root": b"\x09" * 32})]


@pytest.mark.parametrize(
    ("cheat", "found"),
    [
        (overstated, {"proofs", "pay", "replicas"}),
        (understated, {"proofs", "pay"}),
        (missing, {"whole", "sum"}),
        (cut_short, {"whole", "sum"}),
        (unpublished, {"roots", "sum"}),
        (overpaid, {"pay"}),
        (foreign, {"meter"}),
        (rewritten, {"unchanged"}),
        (withdrawn, {"unchanged"}),
    ],
)
def test_each_cheat_is_found(cheat, found):
    story = Story()
    cheat(story)
    assert story.failing == found


def test_a_claim_above_what_the_pod_can_use_is_found():
    """Signed, claimed and paid all right; only the client knows that it cannot be."""
    most = SHAPE.awake(10, SHAPE.max_replicas, BOUNDS.idle_mib)
    assert Story([(10, most)]).failing == set()
    for field, check in (
        ("cpu_core_ms", "replicas"),
        ("memory_mib_s", "replicas"),
        ("storage_mib_s", "storage"),
    ):
        over = replace(most, **{field: getattr(most, field) + 1})
        assert Story([(10, over)]).failing == {check}


@given(
    st.lists(st.tuples(st.integers(1, 10**5), st.integers(0, 10**9), st.integers(0, 10**9)), max_size=5),
    st.integers(86_400, 10**12),
)
def test_what_the_rate_cap_cuts_is_no_cheat(periods, cap):
    made = [(seconds, Usage(cpu_core_ms=cpu, egress_kib=out)) for seconds, cpu, out in periods]
    story = Story(made, account(cap))
    story.bounds = None
    assert story.failing == set()


LEAF = UsageLeaf(from_=1, up_to=2, usage=[1, 2, 3, 4, 5], root=b"r" * 32, proof=[b"p" * 32], transaction=None)


def test_reports_are_kept_as_they_were_first(tmp_path):
    later = LEAF.model_copy(update={"from_": 2, "up_to": 3, "transaction": b"t" * 32})
    keep_leaves(tmp_path, ChannelId(77), [later])
    keep_leaves(tmp_path, ChannelId(77), [LEAF, later.model_copy(update={"usage": [9] * 5})])
    assert load_leaves(tmp_path, ChannelId(77)) == [LEAF, later]
    assert load_leaves(tmp_path, ChannelId(78)) == []


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"from": 1}]', '[{"from": "x"}]'])
def test_a_damaged_report_is_said_to_be_one(tmp_path, text):
    keep_leaves(tmp_path, ChannelId(77), [LEAF])
    [file] = (tmp_path / "reports").iterdir()
    file.write_text(text)
    with pytest.raises(BadInput):
        load_leaves(tmp_path, ChannelId(77))
