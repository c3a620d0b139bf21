# SPDX-License-Identifier: Apache-2.0
"""What Prometheus is told of the daemon: counts, sums and times, never a tenant's name.

What happens is counted where it happens (`Metrics`); what is, is read whenever Prometheus asks
(`Snapshot`). The facade's own numbers come from HAProxy's exporter, by slot.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from trustedpods.provider.core.disk import DiskState
from trustedpods.provider.core.operator_key.rotation import CHANGE_WORDS

Fact = Literal["chain", "cluster", "facade"]

COLD_START_BUCKETS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2, 3, 5, 10, 30, 60)
"""Finest where a container start lies; the last is the longest wake limit by default."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The daemon at one moment.

    Money is in base units of the market's token, times in Unix seconds; `gas_wei` is -1 when the chain did
    not say. `last_claim` is None when the books could not be read.
    `certificate_days` are those until the end of https' own certificate, None without one, and negative past
    it; `certificate_failures` failures in a row of [tls] acme, `certificate_overdue` whether its
    renewal is so late that somebody must look; None without it.
    `gas_spent_today_wei` is what receipts of the UTC day say (None when the books could not be read),
    `gas_cap_wei` the operator's bound for it, `gas_deferred` what waits for the next day, by kind.
    `drain_at` is when pods have to go; None where nobody said so.
    `shortest_runway_s` is None when no pod has a bounded one, `oldest_claim` when no pod is paid for.
    """

    pods_by_phase: Mapping[str, int]
    pods_by_scale: Mapping[str, int]
    replicas: int
    ready: int
    waking: int
    conversations: int
    spool_bytes: int
    spool_quota_bytes: int
    free_slots: int
    claims_by_state: Mapping[str, int]
    last_claim: int | None
    oldest_claim: int | None
    shortest_runway_s: int | None
    gas_wei: int
    disk_state: str
    disk_free_bytes: int
    store_failures: Mapping[str, int]
    certificate_days: float | None = None
    certificate_failures: int | None = None
    certificate_overdue: bool | None = None
    gas_spent_today_wei: int | None = None
    gas_cap_wei: int | None = None
    gas_deferred: Mapping[str, int] = field(default_factory=dict)
    drain_at: int | None = None
    egress_limited: int = 0
    egress_refused: int = 0
    """Packets of all pods since the daemon's first look."""
    key_change: str | None = None
    """How far a change of the operator's key is that is not done; None where none is under way."""
    chain_nodes: Mapping[str, int] = field(default_factory=dict)
    """How many of the chain's nodes agree, are silent, behind, or differ; nothing where there is one node."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted since *since* (Unix seconds).

    `cold_starts` has (seconds, how many took no longer), the last one without a bound. `answered` has
    when each fact was last read well; `messages` are lines of the log by level.
    """

    since: float
    cold_starts: tuple[tuple[float, int], ...]
    cold_start_seconds: float
    wakes: Mapping[str, int]
    items: Mapping[str, int]
    answered: Mapping[str, float]
    messages: Mapping[str, int]


class Metrics:
    """Counts what happens, by *clock* (Unix seconds). One for each daemon; safe to use from any thread."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.since = clock()
        self.registry = CollectorRegistry()
        self._cold_starts = Histogram(
            "trustedpods_cold_start_seconds",
            "From the first request that met a sleeping pod to the address of a ready replica.",
            registry=self.registry,
            buckets=COLD_START_BUCKETS_S,
        )
        self._wakes = Counter(
            "trustedpods_wakes",
            "Questions of the activator by their answer: address or refused.",
            ["answer"],
            registry=self.registry,
        )
        self._items = Counter(
            "trustedpods_claim_items", "Claimed items by outcome.", ["outcome"], registry=self.registry
        )
        outcomes = {self._wakes: ("address", "refused"), self._items: ("paid", "cut")}
        for counter, values in outcomes.items():
            for one in values:  # at 0: Prometheus sees no increase where a series begins with its first count
                counter.labels(one)
        self._paid = Counter(
            "trustedpods_paid_base_units", "Paid by the chain for claims.", registry=self.registry
        )
        self._reads = Gauge(
            "trustedpods_last_read_seconds",
            "When chain, cluster and facade last answered well.",
            ["fact"],
            registry=self.registry,
        )
        self._messages = Counter(
            "trustedpods_log_messages",
            "Lines of the daemon's log from WARNING on.",
            ["level", "logger"],
            registry=self.registry,
        )

    def woken(self, seconds: float, *, cold: bool, served: bool) -> None:
        """The activator was answered after *seconds*; *cold*: the pod slept when it asked."""
        self._wakes.labels("address" if served else "refused").inc()
        if cold and served:
            self._cold_starts.observe(seconds)

    def answered(self, fact: Fact) -> None:
        """The chain, the cluster or the facade was asked and answered well just now."""
        self._reads.labels(fact).set(self._clock())

    def item_paid(self, base_units: int, *, whole: bool) -> None:
        """The chain took one item of a claim; not *whole*: it paid less than was due."""
        self._items.labels("paid" if whole else "cut").inc()
        self._paid.inc(base_units)

    def counts(self) -> Counts:
        """What was counted so far, for whoever reads no metrics."""
        buckets, seconds = [], 0.0
        for sample in _samples(self._cold_starts):
            if sample.name.endswith("_bucket"):
                buckets.append((float(sample.labels["le"]), int(sample.value)))
            elif sample.name.endswith("_sum"):
                seconds = sample.value
        return Counts(
            since=self.since,
            cold_starts=tuple(buckets),
            cold_start_seconds=seconds,
            wakes=_whole(self._wakes, "answer"),
            items=_whole(self._items, "outcome"),
            answered={one.labels["fact"]: one.value for one in _samples(self._reads)},
            messages=_whole(self._messages, "level"),
        )

    def count_log(self) -> "LogCounter":
        """A handler for the root logger that counts warnings and errors."""
        return LogCounter(self._messages)


def _samples(collected: Counter | Gauge | Histogram) -> Iterator[Sample]:
    for metric in collected.collect():
        yield from metric.samples


def _whole(counter: Counter, label: str) -> dict[str, int]:
    """Counts by *label*, whatever other labels there are."""
    found: dict[str, int] = {}
    for sample in _samples(counter):
        if sample.name.endswith("_total"):
            found[sample.labels[label]] = found.get(sample.labels[label], 0) + int(sample.value)
    return found


class LogCounter(logging.Handler):
    """Counts lines by level and by the module that wrote them."""

    def __init__(self, counter: Counter) -> None:
        super().__init__(logging.WARNING)
        self._counter = counter

    def emit(self, record: logging.LogRecord) -> None:
        """Count one line; its text is not looked at."""
        self._counter.labels(record.levelname.lower(), record.name).inc()


class SnapshotCollector(Collector):
    """Turns a snapshot into metrics whenever Prometheus asks."""

    def __init__(self, read: Callable[[], Snapshot]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """All metrics of the daemon's present state."""
        now = self._read()
        yield _by_label("trustedpods_pods", "Pods by phase.", "phase", now.pods_by_phase)
        yield _by_label(
            "trustedpods_scale_states", "Published pods by scaler state.", "state", now.pods_by_scale
        )
        yield _by_label(
            "trustedpods_chain_nodes",
            "Nodes of the chain by how they fare, where several must agree.",
            "state",
            now.chain_nodes,
        )
        yield _by_label("trustedpods_claims", "Claims by state.", "state", now.claims_by_state)
        yield _by_label(
            "trustedpods_gas_deferred",
            "What waits for the next UTC day, as the day's gas is spent: pods with claims, or the row.",
            "what",
            now.gas_deferred,
        )
        yield _by_label(
            "trustedpods_disk_state",
            "1 at how the disk of the books is: good takes pods, all others do not.",
            "state",
            {str(state): int(state == now.disk_state) for state in DiskState},
        )
        yield _by_label(
            "trustedpods_operator_key_change",
            "1 at how far a change of the operator's key is that is not done.",
            "step",
            {step: int(step == now.key_change) for step in CHANGE_WORDS},
        )
        failures = CounterMetricFamily(
            "trustedpods_store_failures", "Reads and writes of the books that failed.", labels=["rule"]
        )
        for rule, count in sorted(now.store_failures.items()):
            failures.add_metric([rule], count)
        yield failures
        yield CounterMetricFamily(
            "trustedpods_egress_refused_packets",
            "Packets of pods that the limits of egress refused, since the daemon began.",
            value=now.egress_refused,
        )
        yield from _gauges(
            (
                ("trustedpods_disk_free_bytes", "Free on the disk of the books.", now.disk_free_bytes),
                ("trustedpods_replicas", "Replicas that run.", now.replicas),
                ("trustedpods_replicas_ready", "Replicas that take requests.", now.ready),
                ("trustedpods_pods_waited_for", "Pods whose first request waits.", now.waking),
                ("trustedpods_conversations", "Open conversations with publishers.", now.conversations),
                ("trustedpods_spool_bytes", "Bytes of sealed blobs on disk.", now.spool_bytes),
                ("trustedpods_spool_quota_bytes", "Bytes that the spool may hold.", now.spool_quota_bytes),
                ("trustedpods_free_slots", "Slots of the facade that nobody has.", now.free_slots),
                (
                    "trustedpods_egress_limited_pods",
                    "Pods of which the limits of egress refused packets in the last ten minutes.",
                    now.egress_limited,
                ),
                ("trustedpods_last_claim_seconds", "When a claim was last signed.", now.last_claim),
                (
                    "trustedpods_oldest_claim_seconds",
                    "Up to when the worst pod is claimed.",
                    now.oldest_claim,
                ),
                ("trustedpods_shortest_runway_seconds", "Of the pod that ends first.", now.shortest_runway_s),
                (
                    "trustedpods_certificate_days_left",
                    "Until the end of the provider's own certificate.",
                    now.certificate_days,
                ),
                (
                    "trustedpods_certificate_failures",
                    "Failed tries in a row to order the provider's certificate.",
                    now.certificate_failures,
                ),
                (
                    "trustedpods_certificate_overdue",
                    "1 when a sixth of the ordered certificate's life is left, and it was not renewed.",
                    None if now.certificate_overdue is None else int(now.certificate_overdue),
                ),
                (
                    "trustedpods_drain_at_seconds",
                    "When pods are sent away, where that was said.",
                    now.drain_at,
                ),
                (
                    "trustedpods_gas_spent_today_wei",
                    "Spent on gas this UTC day, by the receipts.",
                    now.gas_spent_today_wei,
                ),
                ("trustedpods_gas_cap_wei", "The most that a UTC day's gas may cost.", now.gas_cap_wei),
                ("trustedpods_operator_gas_wei", "What the operator key holds for gas.", now.gas_wei),
            )
        )


def _by_label(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _gauges(rows: Iterable[tuple[str, str, float | None]]) -> Iterator[Metric]:
    """A gauge without a value is left out, so that no alert reads a made-up number."""
    for name, text, value in rows:
        if value is not None:
            yield GaugeMetricFamily(name, text, value=value)


def serve_metrics(listen: str, metrics: Metrics, read: Callable[[], Snapshot]) -> Callable[[], None]:
    """Serve on *listen* (`HOST:PORT`) from a thread; call what it returns to stop."""
    collector = SnapshotCollector(read)
    metrics.registry.register(collector)
    host, _, port = listen.rpartition(":")
    server, thread = start_http_server(int(port), addr=host.strip("[]"), registry=metrics.registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()
        metrics.registry.unregister(collector)

    return stop
