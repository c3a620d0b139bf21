# SPDX-License-Identifier: Apache-2.0
"""What Prometheus is told of the daemon: counts and sums, never a tenant's name."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The daemon at one moment."""

    pods_by_phase: dict[str, int]
    replicas: int
    conversations: int
    spool_bytes: int
    spool_quota_bytes: int
    free_slots: int
    claim_alarms: int
    last_claim: int
    gas_wei: int


class _Daemon(Collector):
    """Reads a snapshot whenever Prometheus asks."""

    def __init__(self, read: Callable[[], Snapshot]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """All metrics of the daemon."""
        now = self._read()
        pods = GaugeMetricFamily("trustedpods_pods", "Pods by phase.", labels=["phase"])
        for phase, count in sorted(now.pods_by_phase.items()):
            pods.add_metric([phase], count)
        yield pods
        yield from _gauges(
            (
                ("trustedpods_replicas", "Replicas that run.", now.replicas),
                ("trustedpods_conversations", "Open conversations with publishers.", now.conversations),
                ("trustedpods_spool_bytes", "Bytes of sealed blobs on disk.", now.spool_bytes),
                ("trustedpods_spool_quota_bytes", "Bytes that the spool may hold.", now.spool_quota_bytes),
                ("trustedpods_free_slots", "Slots of the facade that nobody has.", now.free_slots),
                ("trustedpods_last_claim_seconds", "When a claim was last signed.", now.last_claim),
                ("trustedpods_operator_gas_wei", "What the operator key holds for gas.", now.gas_wei),
            )
        )
        yield CounterMetricFamily(
            "trustedpods_claim_alarms", "Claimed items that were paid less than due.", value=now.claim_alarms
        )


def _gauges(rows: Iterable[tuple[str, str, float]]) -> Iterator[Metric]:
    for name, text, value in rows:
        yield GaugeMetricFamily(name, text, value=value)


def serve_metrics(listen: str, read: Callable[[], Snapshot]) -> Callable[[], None]:
    """Serve on *listen* (`HOST:PORT`) from a thread; call what it returns to stop."""
    registry = CollectorRegistry()
    registry.register(_Daemon(read))
    host, _, port = listen.rpartition(":")
    server, thread = start_http_server(int(port), addr=host.strip("[]"), registry=registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
