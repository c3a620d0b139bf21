# SPDX-License-Identifier: Apache-2.0
"""Pods with a fixed number of replicas: all serve, each keeps its name and data, and all are paid for."""

import re
from collections.abc import Callable

import pytest

from tests.live.clients import daemons, web
from tests.live.clients.publisher import Deployed, Json, Publisher, provider
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import replicas
from tests.live.observers.waiting import until

pytestmark = pytest.mark.live

KEEPS_A_NAME = "[ -e /data/born ] || hostname > /data/born; exec /bin/serve"
"""Before the image's own command: whoever starts first with this volume writes its name into it."""


def fixed(kind: str, count: int) -> Callable[[Json], None]:
    def change(spec: Json) -> None:
        spec |= {"workload": kind, "replicas": count}
        del spec["scale"]

    return change


def stateful(count: int) -> Callable[[Json], None]:
    def change(spec: Json) -> None:
        fixed("stateful", count)(spec)
        spec["podManagement"] = "Parallel"
        [container] = spec["containers"]
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        spec["volumes"] = [{"name": "data", "persistent": {"size": "16Mi"}}]
        container["command"] = ["sh", "-c", KEEPS_A_NAME]

    return change


def hosts(pod: Deployed) -> set[str]:
    """Names of the replicas that answer, as some requests find them."""
    found = [
        re.search(r"^host (.*)$", web.get(pod.url, "/cgi-bin/whoami").text, re.MULTILINE) for _ in range(12)
    ]
    return {match[1] for match in found if match}


def born(market: LiveLocalnet, namespace: str, name: str) -> str:
    """Who wrote the volume of a replica first."""
    return market.kubectl("-n", namespace, "exec", name, "-c", "hello", "--", "cat", "/data/born").strip()


def test_all_replicas_of_a_fixed_number_serve(market: LiveLocalnet, publisher: Publisher) -> None:
    pod = publisher.deploy(publisher.manifest("hello", unique("two"), fixed("replicated", 2)))
    names = {one["metadata"]["name"] for one in replicas(market, pod.namespace)}
    assert len(names) == 2
    until("both answer", lambda: hosts(pod) == names)
    status = publisher.run("status", pod.name).json
    assert (status["replicas"], status["ready"]) == (2, 2)


def configured(spec: Json) -> None:
    """Two replicas that show a file out of a secret of the publisher's."""
    fixed("replicated", 2)(spec)
    spec["volumes"] = [{"name": "config", "secret": {"files": {"config.toml": "config.toml"}}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "config", "mountPath": "/srv/config", "readOnly": True}]


def test_an_edited_secret_replaces_the_replicas(market: LiveLocalnet, publisher: Publisher) -> None:
    """The manifest stays as it is: the file beside it is another one, and the next deploy brings it."""
    config = publisher.folder / "config.toml"
    config.write_text("answer = 41\n")
    file = publisher.manifest("hello", unique("config"), configured)
    pod = publisher.deploy(file)
    assert web.get(pod.url, "/config/config.toml").text == "answer = 41\n"
    before = {one["metadata"]["uid"] for one in replicas(market, pod.namespace)}
    config.write_text("answer = 42\n")
    newer = publisher.deploy(file)
    assert {web.get(pod.url, "/config/config.toml").text for _ in range(6)} == {"answer = 42\n"}
    after = {one["metadata"]["uid"] for one in replicas(market, newer.namespace)}
    assert len(after - before) == 2
    shown = publisher.run("status", pod.name).out
    assert "answer = " not in shown, "a secret is in no status"


def test_each_replica_keeps_its_name_and_its_data(market: LiveLocalnet, publisher: Publisher) -> None:
    pod = publisher.deploy(publisher.manifest("hello", unique("three"), stateful(3)))
    names = [f"pod-{ordinal}" for ordinal in range(3)]
    assert sorted(one["metadata"]["name"] for one in replicas(market, pod.namespace)) == names
    assert [born(market, pod.namespace, name) for name in names] == names
    before = {one["metadata"]["name"]: one["metadata"]["uid"] for one in replicas(market, pod.namespace)}
    market.kubectl("-n", pod.namespace, "delete", "pod", "pod-1", "--wait=false")
    until("another pod-1 serves", lambda: _serves_anew(market, pod, before["pod-1"]))
    assert born(market, pod.namespace, "pod-1") == "pod-1"
    claims = market.kubectl("-n", pod.namespace, "get", "pvc", "-o", "name").split()
    assert claims == [f"persistentvolumeclaim/data-{name}" for name in names]
    services = market.kubectl("-n", pod.namespace, "get", "service", "-o", "name").split()
    assert {f"service/{name}" for name in ("pod", *names)} <= set(services)
    check_an_update(market, publisher, pod)


def test_volumes_outlive_a_delete_and_are_paid_for_alone(market: LiveLocalnet, publisher: Publisher) -> None:
    file = publisher.manifest("hello", unique("kept"), stateful(2))
    pod = publisher.deploy(file)
    market.kubectl(
        "-n", pod.namespace, "exec", "pod-1", "-c", "hello", "--", "sh", "-c", "echo it > /data/kept"
    )
    deleted = publisher.run("delete", pod.name).json
    assert (deleted["money"], deleted["retained"]["claims"]) == (
        None,
        [{"name": "data-pod-0", "mib": 16}, {"name": "data-pod-1", "mib": 16}],
    )
    left = "pod,service,statefulset,secret,networkpolicy,poddisruptionbudget"
    assert market.kubectl("-n", pod.namespace, "get", left, "-o", "name") == ""
    daemons.restart(market)
    check_the_bill_of_volumes(market, publisher, pod, mib=32)
    again = publisher.deploy(file)
    assert again.namespace == pod.namespace
    kept = market.kubectl("-n", pod.namespace, "exec", "pod-1", "-c", "hello", "--", "cat", "/data/kept")
    assert kept.strip() == "it"
    purged = publisher.run("delete", pod.name, "--purge").json
    publisher.gone(pod.name)
    assert (purged["money"]["state"], purged["retained"]) == ("released", None)
    assert market.kubectl("get", "namespace", pod.namespace, "--ignore-not-found", "-o", "name") == ""


def check_the_bill_of_volumes(market: LiveLocalnet, publisher: Publisher, pod: Deployed, mib: int) -> None:
    """Periods in which only volumes were left: their MiB by the seconds between two blocks, no unit more."""
    events = publisher.run("status", pod.name).json["pod_events"]
    [cleared] = [event["at"] for event in events if event["reason"] == "cleared"]

    def periods() -> list[Json]:
        provider(market, "claim")
        bill = publisher.run("bill", pod.name).json
        assert bill["problems"] == []
        return [line for line in bill["lines"] if line["from"] >= cleared]

    for line in until("a period after the delete is claimed", periods):
        seconds = line["up_to"] - line["from"]
        assert (line["cpu_core_ms"], line["memory_mib_s"], line["storage_mib_s"]) == (0, 0, mib * seconds)


def _serves_anew(market: LiveLocalnet, pod: Deployed, uid: str) -> bool:
    [found] = [one for one in replicas(market, pod.namespace) if one["metadata"]["name"] == "pod-1"] or [None]
    return bool(found) and found["metadata"]["uid"] != uid and "pod-1" in hosts(pod)


def check_an_update(market: LiveLocalnet, publisher: Publisher, pod: Deployed) -> None:
    """What a StatefulSet cannot take in place is made anew, and the data stays."""

    def change(spec: Json) -> None:
        stateful(3)(spec)
        spec["podManagement"] = "OrderedReady"

    updated = publisher.run("deploy", publisher.manifest("hello", pod.name, change).name).json
    assert (updated["update"], updated["namespace"]) == ("stops-first", pod.namespace)
    assert born(market, pod.namespace, "pod-2") == "pod-2"
