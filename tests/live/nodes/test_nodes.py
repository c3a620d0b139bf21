# SPDX-License-Identifier: Apache-2.0
"""One cluster of three nodes: pods meet across them, and a tenant's pod lives on any of them."""

import json
import secrets
from collections.abc import Iterator
from functools import partial

import pytest

from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.observers.waiting import until
from trustedpods.localnet.cluster.binaries import BUSYBOX

pytestmark = pytest.mark.live

NODES = ("k1", "k1n2", "k1n3")


@pytest.fixture(scope="module")
def three() -> Iterator[LiveLocalnet]:
    with localnet(nodes=len(NODES)) as running:
        yield running


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

    def asked(node: str, where: str) -> str:
        """By exec through the API server, which reaches each node's kubelet."""
        ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 5 nc {where} | tail -n 1"
        return three.kubectl(
            "-n", namespace, "exec", f"on-{node}", "--", "sh", "-c", f"{ask} || true"
        ).strip()

    def at_service(node: str, target: str) -> str:
        """By the Service's name: the first node's DNS answers pods of all."""
        name = f"at-{target}.{namespace}.svc.cluster.local"
        ask = f"nslookup {name} | tail -n 2 | grep -o '10[.0-9]*' || true"
        answer = three.kubectl("-n", namespace, "exec", f"on-{node}", "--", "sh", "-c", ask).strip()
        return answer and asked(node, f"{answer} 80")

    for source, target in ((one, other) for one in NODES for other in NODES if one != other):
        assert asked(source, f"{address[target]} 8080") == f"on-{target}"
        answer = until(f"{source} -> {target}'s Service", partial(at_service, source, target))
        assert answer == f"on-{target}"
    assert [three.kubectl("-n", namespace, "logs", f"on-{node}").strip() for node in NODES] == ["up"] * 3

    three.apply(only_from(namespace, "k1n2", "k1n3"))
    until("k1 is kept out", lambda: not asked("k1", f"{address['k1n2']} 8080"))
    assert asked("k1n3", f"{address['k1n2']} 8080") == "on-k1n2"
    assert asked("k1", f"{address['k1n3']} 8080") == "on-k1n3"
