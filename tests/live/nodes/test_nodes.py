# SPDX-License-Identifier: Apache-2.0
"""One cluster of three nodes: pods meet across them, and a tenant's pod lives on any of them.

Three nodes watch files as often as three clusters do. Beside the markets of three workers the kernel's usual
128 inotify instances have no room for that, so these run apart: `pytest -m soak tests/live/nodes`, 3 minutes.
"""

import json
import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.live.admin.test_doctor import doctor
from tests.live.clients import web
from tests.live.clients.publisher import Json, Publisher
from tests.live.clients.steady import steady_requests
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.nodes.sessions import Session, asking
from tests.live.observers.cluster import images, label_of, replicas, until_zero
from tests.live.observers.money import Bank
from tests.live.observers.run_times import RunTimes
from tests.live.observers.waiting import until
from trustedpods.localnet.cluster.binaries import BUSYBOX
from trustedpods.protocol.errors import ExitCode
from trustedpods.provider.cluster.objects import sizes
from trustedpods.provider.cluster.views import seconds

pytestmark = [pytest.mark.live, pytest.mark.soak]

NODES = ("k1", "k1n2", "k1n3")


@pytest.fixture(scope="module")
def three() -> Iterator[LiveLocalnet]:
    with localnet(nodes=len(NODES)) as running:
        yield running


@pytest.fixture(scope="module")
def person(three: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    """Their pods go with the localnet."""
    folder = tmp_path_factory.mktemp("publisher")
    return Publisher(three, Bank(three).new_account(folder), folder)


@pytest.fixture
def namespace(three: LiveLocalnet) -> str:
    """It goes with the localnet."""
    name = "test-" + secrets.token_hex(3)
    three.make_namespace(name)
    return name


def pod(namespace: str, node: str, script: str) -> dict[str, object]:
    """A pod that is on one node, whoever else has room."""
    container = {"name": "main", "image": BUSYBOX, "command": ["sh", "-c", script]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"on-{node}", "namespace": namespace, "labels": {"app": "web", "node": node}},
        "spec": {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 0},
    }


def only_from(namespace: str, to: str, source: str) -> dict[str, object]:
    """Lets one pod in to another, by its labels."""
    rule = {"from": [{"podSelector": {"matchLabels": {"node": source}}}]}
    spec = {"podSelector": {"matchLabels": {"node": to}}, "policyTypes": ["Ingress"], "ingress": [rule]}
    metadata = {"name": "only", "namespace": namespace}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def service(namespace: str, node: str) -> dict[str, object]:
    """Leads to the pod on one node."""
    spec = {"selector": {"node": node}, "ports": [{"port": 80, "targetPort": 8080}]}
    metadata = {"name": f"at-{node}", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def test_pods_services_exec_and_policies_cross_nodes(three: LiveLocalnet, namespace: str) -> None:
    serve = "cd /tmp; hostname > index.html; echo up; httpd -f -p 8080"
    three.apply(
        *(pod(namespace, node, serve) for node in NODES), *(service(namespace, node) for node in NODES)
    )
    three.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=90s")
    found = json.loads(three.kubectl("-n", namespace, "get", "pods", "-o", "json"))["items"]
    address = {one["spec"]["nodeName"]: one["status"]["podIP"] for one in found}
    ranges = {node.name: node.pod_network.removesuffix("0/24") for node in three.cluster().nodes}
    assert all(address[node].startswith(ranges[node]) for node in NODES)
    assert len(set(ranges.values())) == len(NODES)

    def inside(node: str, script: str) -> list[str]:
        """By exec through the API server, which reaches each node's kubelet; one for many questions."""
        return three.kubectl("-n", namespace, "exec", f"on-{node}", "--", "sh", "-c", script).splitlines()

    def ask(where: str) -> str:
        return f"(printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 5 nc {where} | tail -n 1) || true"

    def at_services(node: str, targets: list[str]) -> list[str]:
        """By the Services' names: the first node's DNS answers pods of all.

        Of `nslookup` only the answer begins so, whichever of its two questions (A and AAAA) is answered last.
        """
        names = [f"at-{target}.{namespace}.svc.cluster.local" for target in targets]
        found = [f"$(nslookup {name} | grep '^Address: ' | grep -o '[.0-9]*$')" for name in names]
        return inside(node, "; ".join(ask(f"{one} 80") for one in found))

    for node in NODES:
        others = [target for target in NODES if target != node]
        answers = [f"on-{target}" for target in others]
        assert inside(node, "; ".join(ask(f"{address[target]} 8080") for target in others)) == answers
        shown = partial(at_services, node, others)
        until(f"Services answer {node}", lambda: shown() == answers)  # noqa: B023 - used at once
    assert [three.kubectl("-n", namespace, "logs", f"on-{node}").strip() for node in NODES] == ["up"] * 3

    three.apply(only_from(namespace, "k1n2", "k1n3"))
    until("k1 is kept out", lambda: not "".join(inside("k1", ask(f"{address['k1n2']} 8080"))))
    assert inside("k1n3", ask(f"{address['k1n2']} 8080")) == ["on-k1n2"]
    assert inside("k1", ask(f"{address['k1n3']} 8080")) == ["on-k1n3"]


def test_the_doctor_tries_every_node_that_takes_pods(three: LiveLocalnet) -> None:
    found = doctor(three, ExitCode.DONE)
    tried = {f"{part} {node}" for part in ("isolation", "scratch", "users") for node in NODES}
    assert {part for part in found if " " in part} == tried
    assert {found[part]["state"] for part in tried} == {"ok"}


def nodes_of(three: LiveLocalnet, namespace: str) -> list[str]:
    """Where the replicas are that nobody has told to end."""
    return [
        one["spec"].get("nodeName", "")
        for one in replicas(three, namespace)
        if "deletionTimestamp" not in one["metadata"]
    ]


def wanted(least: int, most: int) -> Callable[[Json], None]:
    def change(spec: Json) -> None:
        spec["scale"] = {"min": least, "max": most, "idleAfter": "2s"}

    return change


def test_a_pod_wakes_on_a_node_that_is_not_the_daemon_s(three: LiveLocalnet, person: Publisher) -> None:
    three.kubectl("cordon", "k1")
    try:
        deployed = person.deploy(person.manifest("hello", unique("far"), wanted(0, 1)))
        until_zero(three, deployed.namespace)
        assert web.get(deployed.url).status == 200
        [place] = nodes_of(three, deployed.namespace)
        assert place in NODES[1:]
    finally:
        three.kubectl("uncordon", "k1")
    label = label_of(deployed.url)
    assert front(three, f"/v2/{label}/manifests/sha256:{images(three, label)[0]}") == 401
    assert front(three, "/v2/_catalog") == 404
    secret = json.loads(three.kubectl("-n", deployed.namespace, "get", "secret", "images.pull", "-o", "json"))
    assert secret["type"] == "kubernetes.io/dockerconfigjson"


def front(three: LiveLocalnet, path: str) -> int:
    """How the registry's front answers somebody on a node without a password."""
    script = "import ssl,sys,urllib.request as r\ntry: print(r.urlopen(sys.argv[1],"
    script += "context=ssl.create_default_context(cafile=sys.argv[2])).status)\n"
    script += "except r.HTTPError as e: print(e.code)"
    place = f"https://{three.cluster().pull_front}{path}"
    authority = str(three.cluster().path("pki", "ca.crt"))
    return int(three.on_node(sys.executable, "-c", script, place, authority))


def two_with_sessions(spec: Json) -> None:
    """Two replicas; who sends a header keeps his."""
    del spec["scale"]
    spec |= {"workload": "replicated", "replicas": 2}
    spec["services"][0]["sessionAffinity"] = {"header": "Session"}


def test_replicas_are_on_two_nodes_and_one_that_ends_takes_its_own_sessions_alone(
    three: LiveLocalnet, person: Publisher
) -> None:
    pod = person.deploy(person.manifest("hello", unique("spread"), two_with_sessions))
    nodes = nodes_of(three, pod.namespace)
    assert len(nodes) == len(set(nodes)) == 2
    sessions = [Session(pod.url, f"client-{number}") for number in range(8)]
    until("both have sessions", lambda: len({session.ask() for session in sessions} - {""}) == 2)
    for session in sessions:
        session.hosts.clear()
    first, other = sorted({session.ask() for session in sessions})
    with asking(sessions):
        three.kubectl("-n", pod.namespace, "delete", "pod", first, "--wait=false")
        until("its sessions are the other's", lambda: all(one.answered[-1] != first for one in sessions))
        by_then = [len(one.hosts) for one in sessions]
        until(
            "all go on",
            lambda: all(len(one.hosts) > at + 20 for one, at in zip(sessions, by_then, strict=True)),
        )
    of_first = [one for one in sessions if one.hosts[0] == first]
    assert {one.hosts[0] for one in sessions} == {first, other}
    for session in sessions:
        assert session.failed <= (session in of_first), "one open request at most, of the one that ended"
        assert session in of_first or session.answered == [other]
    until("there are two again", lambda: len(ready_nodes(three, pod.namespace)) == 2)
    person.run("delete", pod.name)
    person.gone(pod.name)


PER_SECOND = 20


def test_a_node_that_dies_under_load_is_left_and_nothing_is_billed_twice(
    three: LiveLocalnet, person: Publisher
) -> None:
    three.kubectl("cordon", "k1")  # the daemon's own
    with RunTimes(three) as times:
        try:
            pod = person.deploy(person.manifest("hello", unique("moved"), wanted(2, 2)))
            until("there are two", lambda: len(ready_nodes(three, pod.namespace)) == 2)
        finally:
            three.kubectl("uncordon", "k1")
        first = dict(replica_nodes(three, pod.namespace))
        dead = min(first.values())
        lost = {uid for uid, node in first.items() if node == dead}
        supervisor = three.supervisor()
        os.kill(supervisor, signal.SIGSTOP)  # or it starts them again
        try:
            with steady_requests(pod.url, PER_SECOND) as visitors:
                for part in ("kubelet", "containerd"):
                    os.kill(three.pid(f"{dead}/{part}"), signal.SIGKILL)
                until("another node has it", lambda: left(three, pod.namespace, dead))
                by_then = visitors.total
                until("visitors come on", lambda: visitors.total > by_then + 5 * PER_SECOND)
            heard = seconds(lease(three, dead)["renewTime"])
            assert heard is not None
        finally:
            os.kill(supervisor, signal.SIGCONT)
        assert visitors.failed == 0, visitors
        three.kubectl("wait", "--for=condition=Ready", f"node/{dead}", "--timeout=90s")
        until("the dead node's replicas have gone", lambda: len(replicas(three, pod.namespace)) == 2)
        assert web.get(pod.url).status == 200
        person.run("delete", pod.name)
        person.gone(pod.name)
        uids = times.uids(pod.namespace)
        until("all have ended", lambda: all(map(times.over, uids)))
        began = [seconds(times.last[uid]["status"]["startTime"]) for uid in lost]
        assert None not in began
        served = sum(max(0, heard - at) for at in began if at is not None)  # one that was never heard of
        served += sum(times.served(uid) for uid in uids if uid not in lost)
        assert len(uids) == 2 + len(lost)
    bill = person.run("bill", pod.name).json
    assert bill["problems"] == []
    assert sum(line["cpu_core_ms"] for line in bill["lines"]) == milli(times.last[uids[0]]) * served


def replica_nodes(three: LiveLocalnet, namespace: str) -> list[tuple[str, str]]:
    """Uids of replicas that nobody has told to end, and their nodes."""
    return [
        (one["metadata"]["uid"], one["spec"].get("nodeName", ""))
        for one in replicas(three, namespace)
        if "deletionTimestamp" not in one["metadata"]
    ]


def ready_nodes(three: LiveLocalnet, namespace: str) -> list[str]:
    """Nodes of those whose containers all run."""
    found = [one for one in replicas(three, namespace) if "deletionTimestamp" not in one["metadata"]]
    return [one["spec"]["nodeName"] for one in found if is_ready(one)]


def is_ready(replica: Json) -> bool:
    conditions = replica.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def left(three: LiveLocalnet, namespace: str, dead: str) -> bool:
    """Whether two replicas run, and none of them on the dead node."""
    nodes = ready_nodes(three, namespace)
    return len(nodes) == 2 and dead not in nodes


def lease(three: LiveLocalnet, node: str) -> Json:
    """When the node's kubelet last said that it is there."""
    found: Json = json.loads(three.kubectl("-n", "kube-node-lease", "get", "lease", node, "-o", "json"))
    spec: Json = found["spec"]
    return spec


def milli(replica: Json) -> int:
    """Thousandths of a core that a replica was given."""
    return sizes.requested_by(replica["spec"]).cpu_milli
