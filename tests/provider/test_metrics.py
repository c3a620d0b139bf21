# SPDX-License-Identifier: Apache-2.0
"""What Prometheus reads: counted events, the present state, nothing invented."""

import logging
import socket
import urllib.request
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from trustedpods.provider.metrics import Metrics, Snapshot, serve_metrics

SNAPSHOT = Snapshot(
    pods_by_phase={"serving": 2, "stopped": 1},
    pods_by_scale={"asleep": 1, "awake": 1},
    replicas=3,
    ready=2,
    waking=1,
    conversations=4,
    spool_bytes=10,
    spool_quota_bytes=100,
    free_slots=250,
    claims_by_state={"final": 7},
    last_claim=1_700_000_000,
    oldest_claim=1_699_999_000,
    shortest_runway_s=3600,
    gas_wei=10**18,
    gas_spent_today_wei=3 * 10**15,
    gas_cap_wei=10**16,
    gas_deferred={"claims": 4},
    drain_at=1_700_003_600,
    disk_state="low",
    disk_free_bytes=5,
    store_failures={"store-full": 3},
    certificate_days=61.5,
    certificate_failures=2,
    certificate_overdue=True,
    chain_nodes={"ok": 2, "differs": 1},
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scrape(metrics: Metrics, snapshot: Snapshot) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Everything that the real server says, by name and labels."""
    port = free_port()
    stop = serve_metrics(f"127.0.0.1:{port}", metrics, lambda: snapshot)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    finally:
        stop()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_present_state_is_read_when_asked() -> None:
    seen = scrape(Metrics(), SNAPSHOT)
    assert seen["trustedpods_pods", (("phase", "serving"),)] == 2
    assert seen["trustedpods_scale_states", (("state", "awake"),)] == 1
    assert seen["trustedpods_claims", (("state", "final"),)] == 7
    assert seen["trustedpods_shortest_runway_seconds", ()] == 3600
    assert seen["trustedpods_oldest_claim_seconds", ()] == 1_699_999_000
    assert seen["trustedpods_certificate_days_left", ()] == 61.5
    assert seen["trustedpods_certificate_failures", ()] == 2
    assert seen["trustedpods_certificate_overdue", ()] == 1
    assert seen["trustedpods_chain_nodes", (("state", "differs"),)] == 1


def test_what_is_not_known_is_left_out() -> None:
    seen = scrape(Metrics(), replace(SNAPSHOT, oldest_claim=None, shortest_runway_s=None))
    assert ("trustedpods_oldest_claim_seconds", ()) not in seen
    assert ("trustedpods_shortest_runway_seconds", ()) not in seen


def test_only_answered_cold_starts_enter_the_histogram() -> None:
    metrics = Metrics()
    metrics.woken(0.4, cold=True, served=True)
    metrics.woken(0.001, cold=False, served=True)
    metrics.woken(60.0, cold=True, served=False)
    seen = scrape(metrics, SNAPSHOT)
    assert seen["trustedpods_cold_start_seconds_count", ()] == 1
    assert seen["trustedpods_cold_start_seconds_sum", ()] == pytest.approx(0.4)
    assert seen["trustedpods_wakes_total", (("answer", "address"),)] == 2
    assert seen["trustedpods_wakes_total", (("answer", "refused"),)] == 1


def test_what_is_counted_begins_at_nothing() -> None:
    """Where a series begins with its first count, Prometheus sees no increase, and no alert fires."""
    counts = Metrics().counts()
    assert counts.wakes == {"address": 0, "refused": 0}
    assert counts.items == {"paid": 0, "cut": 0}


def test_moments_are_of_the_clock_that_was_given() -> None:
    metrics = Metrics(lambda: 1_900_000_000.0)
    metrics.answered("chain")
    counts = metrics.counts()
    assert (counts.since, counts.answered["chain"]) == (1_900_000_000.0, 1_900_000_000.0)


@given(st.lists(st.tuples(st.integers(0, 10**20), st.booleans()), max_size=20))
def test_paid_items_add_up(items: list[tuple[int, bool]]) -> None:
    metrics = Metrics()
    for paid, whole in items:
        metrics.item_paid(paid, whole=whole)
    value = metrics.registry.get_sample_value
    assert value("trustedpods_paid_base_units_total") == pytest.approx(sum(paid for paid, _ in items))
    for outcome, is_whole in (("paid", True), ("cut", False)):
        count = sum(whole is is_whole for _, whole in items)
        assert (value("trustedpods_claim_items_total", {"outcome": outcome}) or 0) == count


def test_warnings_are_counted_by_module_and_their_text_is_not_kept() -> None:
    metrics = Metrics()
    log = logging.Logger("trustedpods.provider.serving.autoscaler")  # noqa: LOG001 - of nobody else
    log.addHandler(metrics.count_log())
    log.info("nothing")
    log.warning("a tenant's word")
    log.error("another")
    seen = scrape(metrics, SNAPSHOT)
    logger = ("logger", "trustedpods.provider.serving.autoscaler")
    assert seen["trustedpods_log_messages_total", (("level", "warning"), logger)] == 1
    assert seen["trustedpods_log_messages_total", (("level", "error"), logger)] == 1
    assert not [key for key in seen if "tenant" in str(key)]


def test_the_port_is_free_again_after_stopping() -> None:
    metrics, port = Metrics(), free_port()
    for _ in range(2):
        serve_metrics(f"127.0.0.1:{port}", metrics, lambda: SNAPSHOT)()
