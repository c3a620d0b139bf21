# SPDX-License-Identifier: Apache-2.0
"""What the kubelet asks of a container: probes, and what is done before its end. Pure."""

from typing import Any

from trustedpods.manifests.spec.container import Container
from trustedpods.manifests.spec.lifecycle import Lifecycle
from trustedpods.manifests.spec.probe import DEFAULT_FAILURES, DEFAULT_PERIOD_S, Exec, HttpGet, Probe


def kubelet_probes(part: Container) -> dict[str, Any]:
    """The probes by their names in Kubernetes; a readiness probe only if the facade cannot run it.

    The facade asks sooner and more closely, and a replica behind it has one judge of its readiness, not two.
    """
    readiness = part.readiness_probe
    wanted = {
        "livenessProbe": part.liveness_probe,
        "startupProbe": part.startup_probe,
        "readinessProbe": readiness if readiness is not None and readiness.needs_kubelet else None,
    }
    return {name: _probe(probe) for name, probe in wanted.items() if probe is not None}


def _probe(probe: Probe) -> dict[str, Any]:
    """With every default written out: a cluster's own may change."""
    return {
        **_question(probe),
        "timeoutSeconds": probe.timeout_seconds,
        "initialDelaySeconds": probe.initial_delay_seconds,
        "periodSeconds": probe.period_seconds or DEFAULT_PERIOD_S,
        "failureThreshold": probe.failure_threshold or DEFAULT_FAILURES,
        "successThreshold": probe.success_threshold,
    }


def _question(probe: Probe) -> dict[str, Any]:
    if probe.http_get is not None:
        return {"httpGet": _http_get(probe.http_get)}
    if probe.tcp_socket is not None:
        return {"tcpSocket": {"port": probe.tcp_socket.port}}
    if probe.exec is not None:
        return {"exec": _exec(probe.exec)}
    assert probe.grpc is not None
    return {"grpc": {"port": probe.grpc.port, "service": probe.grpc.service}}


def _exec(asked: Exec) -> dict[str, Any]:
    return {"command": list(asked.command)}


def _http_get(asked: HttpGet) -> dict[str, Any]:
    """The request, always to the replica itself."""
    made: dict[str, Any] = {"path": asked.path, "port": asked.port, "scheme": asked.scheme}
    if asked.http_headers:
        made["httpHeaders"] = [{"name": one.name, "value": one.value} for one in asked.http_headers]
    return made


def lifecycle(wanted: Lifecycle | None) -> dict[str, Any]:
    """The container's `lifecycle`; empty where nothing is wanted."""
    if wanted is None:
        return {}
    before = wanted.pre_stop
    if before.exec is not None:
        return {"preStop": {"exec": _exec(before.exec)}}
    if before.http_get is not None:
        return {"preStop": {"httpGet": _http_get(before.http_get)}}
    assert before.sleep is not None
    return {"preStop": {"sleep": {"seconds": before.sleep.seconds}}}
