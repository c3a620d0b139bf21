# SPDX-License-Identifier: Apache-2.0
import threading
from dataclasses import replace

import pytest
import trio

from tests.fakes.provider.records import pod_record
from trustedpods.protocol.errors import Locked, Refused
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.messages.base import MAX_TOLD, sendable
from trustedpods.protocol.units import Usage
from trustedpods.provider.core.metering import TRAFFIC_ROW_S, Run, usage
from trustedpods.provider.core.pod import LOST_STATEMENT, Phase
from trustedpods.provider.core.settlement import Cut
from trustedpods.provider.core.traffic import SlotStats, Traffic, TrafficMark
from trustedpods.provider.store import Vault, claims, history, ledger, open_store, pods
from trustedpods.provider.store.claims import ClaimOutcome, ClaimState
from trustedpods.provider.store.vault import LOST_TEXT

RECORD = pod_record(reason="back-off restarting container=web", statement=b"signed", terms=1 << 250)
CHANNEL = RECORD.channel


async def test_a_record_survives_reopening(book):
    async with book() as store:
        await store.write(pods.save, RECORD)
    async with book() as store:
        assert await store.read(pods.load, CHANNEL) == RECORD
        assert await store.read(pods.load_standing) == [RECORD]


async def test_a_record_is_replaced_whole(book):
    ended = replace(RECORD, phase=Phase.GONE, chain=None, statement=None, stopped_at=5)
    async with book() as store:
        await store.write(pods.save, RECORD)
        await store.write(pods.save, ended)
        assert await store.read(pods.load, CHANNEL) == ended
        assert await store.read(pods.load_standing) == []


async def test_one_daemon_only_has_a_file(tmp_path):
    path = tmp_path / "books" / "store.db"
    async with open_store(path, Vault(b"k" * 32)):
        with pytest.raises(Locked):
            async with open_store(path, Vault(b"k" * 32)):
                pass


@pytest.mark.parametrize("sign", ["a", "漢", "\ud800"])
async def test_what_others_say_at_any_length_keeps_no_status_from_its_owner(book, sign):
    """A reason quotes the cluster; a status holds 64 events of bounded length, or none at all."""
    async with book() as store:
        await store.write(pods.save, replace(RECORD, reason=sendable(sign * 9000)))
        await store.write(history.note, CHANNEL, 5, "failed" * 100, sign * 100_000)
        (event,) = await store.read(history.events, CHANNEL)
        assert len(event.text) == MAX_TOLD
        assert await store.read(pods.load, CHANNEL) is not None


async def test_texts_are_sealed_on_disk(book):
    async with book() as store:
        await store.write(pods.save, RECORD)
        await store.write(history.note, CHANNEL, 5, "failed", "MARKER of a tenant")
    everything = book.everything()
    assert RECORD.channel.to_bytes(24, "big").hex().encode() in everything
    assert b"MARKER" not in everything
    assert b"back-off" not in everything


async def test_another_boot_cannot_read_texts(book):
    async with book() as store:
        await store.write(pods.save, RECORD)
    async with book(b"x" * 32) as store:
        found = await store.read(pods.load, CHANNEL)
        assert found.reason == LOST_TEXT
        assert found.statement == LOST_STATEMENT
        assert found.size == RECORD.size


async def test_a_failed_change_leaves_nothing(book):
    def broken(tx):
        pods.save(tx, RECORD)
        raise RuntimeError

    async with book() as store:
        with pytest.raises(RuntimeError):
            await store.write(broken)
        assert await store.read(pods.load, CHANNEL) is None


async def test_a_nonce_counts_once(book):
    async with book() as store:
        await store.write(history.use_nonce, b"n" * 32, 100, 50)
        with pytest.raises(Refused) as caught:
            await store.write(history.use_nonce, b"n" * 32, 100, 51)
        assert caught.value.rule == "replay"
    async with book() as store:  # nor after a restart
        with pytest.raises(Refused):
            await store.write(history.use_nonce, b"n" * 32, 100, 52)
        await store.write(history.use_nonce, b"n" * 32, 300, 101)  # expired ones are forgotten


async def test_history_is_bounded(book):
    async with book() as store:
        for number in range(history.KEPT_EVENTS + 5):
            await store.write(history.note, CHANNEL, number, "r", f"line {number}")
        found = await store.read(history.events, CHANNEL, 1000)
    assert len(found) == history.KEPT_EVENTS
    assert found[-1].text == f"line {history.KEPT_EVENTS + 4}"


async def test_a_reason_with_a_bound_of_its_own_leaves_the_others_alone(book):
    async with book() as store:
        await store.write(history.note, CHANNEL, 0, "started", "it serves")
        for number in range(history.KEPT_EVENTS + 5):
            await store.write(history.note, CHANNEL, number, "exec", f"line {number}", 3)
        found = await store.read(history.events, CHANNEL, 1000)
    last = history.KEPT_EVENTS + 4
    assert [event.text for event in found] == ["it serves", *(f"line {last - back}" for back in (2, 1, 0))]


async def test_a_run_ends_once(book):
    run = Run("uid", 100, None, 250, 64, 0)
    async with book() as store:
        await store.write(ledger.record_run, CHANNEL, "ns", run)
        assert await store.read(ledger.open_runs) == {"uid": "ns"}
        await store.write(ledger.record_run, CHANNEL, "ns", replace(run, ended=110))
        await store.write(ledger.record_run, CHANNEL, "ns", replace(run, ended=120))
        await store.write(ledger.end_runs, ["uid"], 130)
        found = await store.read(ledger.load_ledger, CHANNEL, 0)
    assert [r.ended for r in found.runs] == [110]


async def test_holdings_change_only_where_they_differ(book):
    async with book() as store:
        await store.write(ledger.hold, CHANNEL, {"image": 10, "volume": 5}, 100)
        await store.write(ledger.hold, CHANNEL, {"image": 10, "volume": 5}, 150)
        await store.write(ledger.hold, CHANNEL, {"image": 20, "volume": 5}, 200)
        await store.write(ledger.hold, CHANNEL, {}, 300)
        found = await store.read(ledger.load_ledger, CHANNEL, 0)
    assert usage(found, 0, 1000).storage_mib_s == 10 * 100 + 20 * 100 + 5 * 200


async def test_traffic_adds_up_over_many_readings(book):
    async with book() as store:
        await store.write(ledger.begin_traffic, {CHANNEL: TrafficMark("boot", 0, 0, 0)})
        for at in range(100, 500, 100):
            for _ in "ab":  # the same reading twice counts once
                readings = {CHANNEL: SlotStats("boot", 0, at, 6 * at, 20 * at)}
                marks = await store.write(ledger.count_traffic, readings, at, 0)
        found = await store.read(ledger.load_ledger, CHANNEL, 250)
        assert marks == {CHANNEL: await store.read(ledger.load_mark, CHANNEL)}
        assert marks == {CHANNEL: TrafficMark("boot", 400, 2400, 8000)}
        everything = await store.read(ledger.load_ledger, CHANNEL, 0)
    first, second = usage(everything, 0, 250), usage(found, 250, 1000)
    assert second.egress_kib == 8000 // 1024 - 4000 // 1024
    assert first + second == usage(everything, 0, 1000)


async def test_a_row_of_traffic_grows_for_a_minute_and_not_behind_a_claim(book):
    async with book() as store:

        async def carry(at, since=0):
            await store.write(ledger.add_traffic, CHANNEL, Traffic(bytes_out=1024), at, since)
            found = await store.read(ledger.load_ledger, CHANNEL, 0)
            return [(total.at, total.egress_bytes // 1024) for total in found.traffic]

        assert await carry(100) == [(100, 1)]
        assert await carry(100 + TRAFFIC_ROW_S - 1) == [(100, 2)]
        assert await carry(100 + TRAFFIC_ROW_S) == [(100, 2), (160, 3)]
        claimed = await store.write(ledger.close_and_load, {CHANNEL: 50}, 170)
        assert usage(claimed[CHANNEL], 50, 168).egress_kib == 3
        assert await carry(169) == [(100, 2), (160, 3), (170, 4)]  # a clock that was set back
        assert await carry(171) == [(100, 2), (160, 3), (170, 5)]
        assert await carry(172, since=172) == [(100, 2), (160, 3), (170, 5), (172, 6)]
        await store.write(ledger.close_traffic, [CHANNEL], 150)
        assert await carry(173, since=172) == [(100, 2), (160, 3), (170, 5), (172, 7)]
        found = await store.read(ledger.load_ledger, CHANNEL, 168)
    assert usage(found, 168, 1000).egress_kib == 4


async def test_a_life_of_a_pod_begins_with_a_row_of_its_own(book):
    async with book() as store:
        for life, (opened, held) in enumerate([(100, 99), (130, 135)]):
            await store.write(ledger.hold, CHANNEL, {"image": 1}, held, None, opened)
            await store.write(ledger.add_traffic, CHANNEL, Traffic(bytes_in=2048), held + 2, 0)
            found = await store.read(ledger.load_ledger, CHANNEL, opened)
            assert usage(found, opened, held + 5).ingress_kib == 2, life
            await store.write(ledger.hold, CHANNEL, {}, held + 3)


@pytest.mark.parametrize("up_to", [90, 100, 130, 160])
async def test_bytes_that_were_paid_for_are_in_no_later_period(book, up_to):
    """Books that were set back: rows from where the chain has paid up to go before it, and none is lost."""
    async with book() as store:
        for at in (100, 160):
            await store.write(ledger.add_traffic, CHANNEL, Traffic(bytes_out=1024, bytes_in=2048), at, 0)
        for _ in range(2):  # a kill between may repeat it
            await store.write(ledger.forgive_traffic, CHANNEL, up_to)
        found = await store.read(ledger.load_ledger, CHANNEL, 0)
        assert usage(found, up_to, 1000).egress_kib == usage(found, up_to, 1000).ingress_kib == 0
        assert usage(found, 0, up_to).egress_kib == 2
        await store.write(ledger.add_traffic, CHANNEL, Traffic(bytes_out=1024), 500, 400)
        later = await store.read(ledger.load_ledger, CHANNEL, up_to)
    assert usage(later, up_to, 1000).egress_kib == 1


async def test_nothing_is_forgiven_where_nothing_passed_since(book):
    async with book() as store:
        await store.write(ledger.add_traffic, CHANNEL, Traffic(bytes_out=1024), 100, 0)
        await store.write(ledger.forgive_traffic, CHANNEL, 101)
        found = await store.read(ledger.load_ledger, CHANNEL, 0)
    assert [(total.at, total.egress_bytes) for total in found.traffic] == [(100, 1024)]


async def test_a_pod_that_left_its_slots_counts_nothing(book):
    async with book() as store:
        await store.write(ledger.count_traffic, {CHANNEL: SlotStats("boot", 0, 9, 9, 9)}, 100, 0)
        assert (await store.read(ledger.load_ledger, CHANNEL, 0)).traffic == ()
        assert await store.read(ledger.load_mark, CHANNEL) is None


async def test_many_ledgers_are_read_at_once_each_from_its_own_moment(book):
    many = {ChannelId(number): 10 * number for number in range(1, 60)}
    async with book() as store:
        for channel in many:
            await store.write(_a_history, channel)
        found = await store.read(ledger.load_ledgers, many)
        marks = await store.read(ledger.load_marks, [*many, ChannelId(10**9)])
        for channel, from_ in many.items():
            assert found[channel] == await store.read(ledger.load_ledger, channel, from_)
            whole = usage(await store.read(ledger.load_ledger, channel, 0), from_, 10**6)
            assert usage(found[channel], from_, 10**6) == whole
    assert marks == {channel: TrafficMark("boot", channel, 0, 0) for channel in many}
    assert [total.at for total in found[ChannelId(2)].traffic] == [15, 20, 35]
    assert [run.uid for run in found[ChannelId(3)].runs] == ["3-open", "3-late"]
    last = found[ChannelId(59)]  # of what ended long before only the last total is told
    assert (len(last.runs), len(last.holdings), len(last.traffic)) == (1, 1, 1)


def _a_history(tx, channel):
    for name, started, ended in (("early", 1, 5), ("open", 2, None), ("late", 3, 500)):
        if channel < 59 or name == "open":
            ledger.record_run(tx, channel, "ns", Run(f"{channel}-{name}", started, ended, 100, 64, 0))
    ledger.hold(tx, channel, {"image": 5}, 1)
    ledger.hold(tx, channel, {"image": 6}, 9)
    ledger.set_marks(tx, {channel: TrafficMark("boot", channel, 0, 0)})
    for at in (5, 15, 20, 35):
        ledger.add_traffic(tx, channel, Traffic(1, 5000, 900), at, since=at)


async def test_counters_are_booked_once_and_only_of_what_ran(book):
    run = Run("uid", 10, None, 250, 64, 0)
    totals = {"uid": (5000, 300), "stranger": (10**9, 10**9)}
    async with book() as store:
        await store.write(ledger.record_run, CHANNEL, "ns", run)
        for at in (20, 21):
            await store.write(ledger.record_counters, totals, at, 0)
        await store.write(ledger.record_counters, {"uid": (4000, 200)}, 22, 0)  # fell: nothing is booked
        await store.write(ledger.record_counters, {"uid": (9000, 2348)}, 23, 0)
    async with book() as store:
        await store.write(ledger.record_counters, {"uid": (9000, 2348)}, 24, 0)
        found = usage(await store.read(ledger.load_ledger, CHANNEL, 0), 0, 100)
    assert (found.egress_kib, found.ingress_kib) == (9000 // 1024, 2348 // 1024)


CUTS = [Cut(CHANNEL, 100, 200, Usage(1, 2, 3, 4, 5), release=False)]


async def saved(store, root=b"r" * 32, created=10):
    proofs = [[b"p" * 32, b"q" * 32]]
    await store.write(claims.save_claim, root, b"{}", CUTS, proofs, {CHANNEL: "life"}, created)


async def test_a_claim_is_stored_before_it_is_sent(book):
    async with book() as store:
        await saved(store)
    async with book() as store:
        found = await store.read(claims.open_claim)
        assert found.state is ClaimState.PREPARED
        assert found.cuts == tuple(CUTS)
        (leaf,) = await store.read(claims.leaves, CHANNEL, "life", 0)
        assert leaf.transaction is None
        assert leaf.proof == [b"p" * 32, b"q" * 32]
        assert leaf.usage == [1, 2, 3, 4, 5]


async def test_a_mined_claim_shows_its_transaction_and_pay(book):
    async with book() as store:
        await saved(store)
        paid = ClaimOutcome(CHANNEL, 0, 77)
        mined = (b"r" * 32, ClaimState.MINED, b"t" * 32, 9, [paid])
        assert await store.write(claims.settle_claim, *mined) == [paid]
        assert await store.write(claims.settle_claim, *mined) == []
        assert await store.read(claims.paid_in_life, CHANNEL, "life") == 77
        assert await store.read(claims.paid_in_life, CHANNEL, "other life") == 0
        (leaf,) = await store.read(claims.leaves, CHANNEL, "life", 0)
        assert leaf.transaction == b"t" * 32
        await store.write(claims.mark_claim, b"r" * 32, ClaimState.FINAL)
        assert await store.read(claims.open_claim) is None
        assert await store.read(claims.last_root) == b"r" * 32
        assert await store.read(claims.last_claim_at) == 10


async def test_a_lost_claim_has_no_leaves(book):
    async with book() as store:
        await saved(store)
        await store.write(claims.mark_claim, b"r" * 32, ClaimState.LOST)
        assert await store.read(claims.leaves, CHANNEL, "life", 0) == []
        assert await store.read(claims.open_claim) is None


async def test_threads_of_others_that_hang_do_not_hold_up_the_books(book):
    hangs, usual = threading.Event(), trio.to_thread.current_default_thread_limiter().total_tokens
    async with book() as store, trio.open_nursery() as nursery:
        for _ in range(int(usual)):
            nursery.start_soon(trio.to_thread.run_sync, hangs.wait, 30)
        with trio.fail_after(10):
            await store.write(pods.save, RECORD)
            assert await store.read(pods.load, CHANNEL) == RECORD
        hangs.set()


async def test_a_read_sees_one_moment_whatever_is_written_meanwhile(book):
    async with book() as store:
        await store.write(pods.save, RECORD)
        first, written = trio.Event(), trio.Event()

        def twice(tx):
            before = pods.load(tx, CHANNEL)
            trio.from_thread.run_sync(first.set)
            trio.from_thread.run(written.wait)
            return before, pods.load(tx, CHANNEL)

        async def write_between():
            await first.wait()
            await store.write(pods.save, replace(RECORD, reason="later"))
            written.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write_between)
            assert await store.read(twice) == (RECORD, RECORD)
        assert (await store.read(pods.load, CHANNEL)).reason == "later"
