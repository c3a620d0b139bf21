# SPDX-License-Identifier: Apache-2.0
"""`audit` against a provider over real libp2p: it pages, proves, keeps, and notices what changed."""

from tests.publisher.verbs.test_pods import channel_of
from trustedpods.contracts.merkle import leaf, proofs, root
from trustedpods.contracts.records import Submission
from trustedpods.contracts.settlement import settle
from trustedpods.contracts.usage import UsageItem
from trustedpods.protocol.messages.usage import UsageLeaf, UsageReport
from trustedpods.protocol.units import Usage
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.cost import Shape
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.audit import audit
from trustedpods.publisher.verbs.bill import bill

SHAPE = Shape(cpu_milli=100, memory_mib=64, storage_mib=10, scratch_mib=0, max_replicas=1)


def claim(bench, peer, seconds, usage):
    """The provider claims a period, and tells of it."""
    ((place, life),) = bench.chain.lives.items()
    item = UsageItem(place[1], life.channel.up_to, life.channel.up_to + seconds, usage)
    market = bench.chain.market
    hashes = [leaf(market.chain_id, market.payments, peer.owner, item), b"\x05" * 32]
    bench.chain.pass_time(seconds)
    settled = settle(life.channel, item, life.channel.meter_tag, bench.chain.now)
    life.channel = settled.channel
    told = UsageLeaf(
        from_=item.from_,
        up_to=item.up_to,
        usage=list(usage.quantities),
        root=root(hashes),
        proof=proofs(hashes)[0],
        transaction=None,
    )
    mined = Submission(bytes([seconds]) * 32, bench.chain.number, (settled.result,))
    bench.chain.roots[peer.owner, told.root] = [mined]
    peer.usage = UsageReport(leaves=[*peer.usage.leaves, told], open_usage=[0] * 5)


async def failing(bench, shape=SHAPE):
    result = await audit(bench.account, "hello", shape, VisitProgress(), bench.journal())
    broken = {finding.check for finding in result.findings if finding.holds is False}
    assert result.holds == (not broken)
    return broken


async def test_an_audit_from_end_to_end(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        assert await failing(bench) == set()
        claim(bench, peer, 10, Usage(100 * 9, 64 * 9, 100))
        claim(bench, peer, 20, Usage(100 * 20, 64 * 20, 200, 5, 6))
        assert await failing(bench) == set()
        assert len(list((state_dir() / "reports").iterdir())) == 1
        honest = peer.usage

        first, second = honest.leaves
        peer.usage = UsageReport(
            leaves=[first.model_copy(update={"usage": [1, 0, 0, 0, 0]}), second], open_usage=[0] * 5
        )
        assert {"proofs", "pay", "unchanged"} <= await failing(bench)
        peer.usage = UsageReport(leaves=[first], open_usage=[0] * 5)
        assert {"whole", "sum", "unchanged"} <= await failing(bench)
        peer.usage = honest
        assert await failing(bench) == set()

        claim(bench, peer, 30, Usage(100 * 31, 64 * 30, 301))
        assert await failing(bench) == {"replicas", "storage"}
        assert await failing(bench, None) == set()
        assert channel_of(bench).up_to == peer.usage.leaves[-1].up_to


async def test_a_bill_has_all_pages_as_the_audit_has(bench):
    async with bench.peer("small-pages").serve() as peer:
        await bench.deploy()
        for seconds in (10, 20, 30):
            claim(bench, peer, seconds, Usage(100 * seconds, 64 * seconds, 100))
        told = await bill(bench.account, "hello", SHAPE, VisitProgress(), bench.journal())
        assert len(told.bill.lines) == 3
        assert told.problems == ()
        assert await failing(bench) == set()
