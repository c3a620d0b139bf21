# SPDX-License-Identifier: Apache-2.0
"""Which probes the kubelet runs, and what it is told."""

import pytest

from trustedpods.manifests.spec.container import Container
from trustedpods.provider.cluster.objects.workload.kubelet_probe import kubelet_probes, lifecycle

TIMES: dict[str, object] = {
    "timeoutSeconds": 1,
    "initialDelaySeconds": 0,
    "periodSeconds": 10,
    "failureThreshold": 3,
    "successThreshold": 1,
}
"""Kubernetes' own defaults."""

QUESTIONS: dict[str, dict[str, object]] = {
    "exec": {"exec": {"command": ["/check", "-v"]}},
    "grpc": {"grpc": {"port": 9000, "service": "shop"}},
    "tls": {
        "httpGet": {
            "path": "/",
            "port": 8443,
            "scheme": "HTTPS",
            "httpHeaders": [{"name": "Host", "value": "a"}],
        }
    },
    "http": {"httpGet": {"path": "/ok", "port": 8080, "scheme": "HTTP"}},
    "tcp": {"tcpSocket": {"port": 5432}},
}


def made(**probes: object) -> dict[str, object]:
    return kubelet_probes(Container.model_validate({"name": "c", "image": "x", **probes}))


@pytest.mark.parametrize("question", QUESTIONS)
def test_liveness_and_startup_are_always_the_kubelets(question: str) -> None:
    asked = QUESTIONS[question]
    for name in ("livenessProbe", "startupProbe"):
        assert made(**{name: asked}) == {name: {**asked, **TIMES}}


@pytest.mark.parametrize(
    ("question", "by_kubelet"), [(name, name in ("exec", "grpc", "tls")) for name in QUESTIONS]
)
def test_readiness_is_the_kubelets_only_where_the_facade_cannot_ask(question: str, by_kubelet: bool) -> None:
    assert ("readinessProbe" in made(readinessProbe=QUESTIONS[question])) is by_kubelet


def test_times_are_the_manifests() -> None:
    times = dict(zip(TIMES, (2, 3, 20, 5, 4), strict=True))
    assert made(readinessProbe=QUESTIONS["exec"] | times) == {"readinessProbe": QUESTIONS["exec"] | times}


@pytest.mark.parametrize(
    "wanted",
    [
        {"exec": {"command": ["/leave"]}},
        {"httpGet": {"path": "/leave", "port": 8080, "scheme": "HTTP"}},
        {"sleep": {"seconds": 5}},
    ],
)
def test_what_is_done_before_the_end_is_said_as_it_is_written(wanted: dict[str, object]) -> None:
    part = Container.model_validate({"name": "c", "image": "x", "lifecycle": {"preStop": wanted}})
    assert lifecycle(part.lifecycle) == {"preStop": wanted}
    assert lifecycle(None) == {}
