# SPDX-License-Identifier: Apache-2.0
"""The embedded cluster is a Kubernetes that a pod can live in, and nothing leaves it."""

import http.client
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.clients.images import with_layer
from tests.live.localnet_fixture import FAST, LiveLocalnet
from tests.live.observers.waiting import until
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.cluster.binaries import BUSYBOX
from trustedpods.localnet.cluster.files import containerd_socket
from trustedpods.localnet.up import up
from trustedpods.protocol.errors import BadInput

pytestmark = pytest.mark.live


@pytest.fixture
def namespace(market: LiveLocalnet) -> Iterator[str]:
    name = "test-" + secrets.token_hex(3)
    market.make_namespace(name)
    yield name
    market.kubectl("delete", "namespace", name, "--wait=false")


def pod(namespace: str, name: str, image: str = BUSYBOX, **spec: object) -> dict[str, object]:
    container = {"name": "main", "image": image, "command": ["sleep", "1000"], **spec}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def until_ready(market: LiveLocalnet, namespace: str, name: str) -> None:
    market.kubectl("-n", namespace, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=90s")


def inside(market: LiveLocalnet, namespace: str, name: str, script: str) -> str:
    return market.kubectl("-n", namespace, "exec", name, "--", "sh", "-c", script).strip()


def test_a_pod_runs_with_a_volume(market: LiveLocalnet, namespace: str) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
    }
    made = pod(namespace, "keeper", volumeMounts=[{"name": "data", "mountPath": "/data"}])
    made["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    market.apply(claim, made)
    until_ready(market, namespace, "keeper")
    assert inside(market, namespace, "keeper", "echo kept > /data/file; cat /data/file") == "kept"
    bound = json.loads(market.kubectl("-n", namespace, "get", "pvc", "data", "-o", "json"))
    assert bound["status"]["phase"] == "Bound"


def test_names_resolve_to_services_that_answer(market: LiveLocalnet, namespace: str) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    web = pod(namespace, "web", command=["sh", "-c", "cd /tmp; echo hi > index.html; httpd -f -p 8080"])
    market.apply(service, web, pod(namespace, "client"))
    until_ready(market, namespace, "web")
    until_ready(market, namespace, "client")

    def in_client(script: str) -> str:
        return inside(market, namespace, "client", f"{script} || true")

    name = f"web.{namespace}.svc.cluster.local"
    until("the name resolves", lambda: in_client(f"nslookup {name} > /dev/null && echo found") == "found")
    address = in_client(f"nslookup {name}").split()[-1]
    ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 5 nc {address} 80 | tail -n 1"
    until("the service answers", lambda: in_client(ask) == "hi")


def test_pods_reach_neither_the_host_nor_the_node_s_loopback(market: LiveLocalnet, namespace: str) -> None:
    market.apply(pod(namespace, "prisoner"))
    until_ready(market, namespace, "prisoner")
    for host, port in ((market.settings.gateway, 8545), ("127.0.0.1", 5000), ("192.0.2.1", 80)):
        script = f"timeout 2 nc {host} {port} < /dev/null && echo open || echo shut"
        assert inside(market, namespace, "prisoner", script).endswith("shut"), (host, port)


def test_images_are_pulled_from_the_provider_s_registry(market: LiveLocalnet, namespace: str) -> None:
    image = f"{market.cluster().registry}/test/hello:1"
    archive = f"oci-archive:{binaries.image('hello')}"
    market.on_node("skopeo", "copy", "--quiet", "--dest-tls-verify=false", archive, f"docker://{image}")
    market.apply(pod(namespace, "pulled", image))
    until_ready(market, namespace, "pulled")


def test_layers_of_ended_pods_go_from_the_node(market: LiveLocalnet, namespace: str, tmp_path: Path) -> None:
    """What still has a pod, awake or asleep, and the node's own images stay."""
    ctr = ("ctr", "--address", containerd_socket(market.cluster()), "--namespace", "k8s.io")
    layers = {}
    for name in ("ended", "kept"):
        archive = tmp_path / f"{name}.tar"
        with_layer("hello", {"srv/own": secrets.token_bytes(100_000)}, archive)
        image = f"{market.cluster().registry}/pods/{name}-{namespace}:1"
        market.on_node(
            "skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci-archive:{archive}", f"docker://{image}"
        )
        found = json.loads(market.on_node("skopeo", "inspect", "--tls-verify=false", f"docker://{image}"))
        layers[name] = found["Layers"][-1]
        market.apply(pod(namespace, name, image))
        until_ready(market, namespace, name)
        market.kubectl("-n", namespace, "delete", "pod", name, "--wait=true")
    assert all(layer in market.on_node(*ctr, "content", "ls") for layer in layers.values())
    ended = f"docker://{market.cluster().registry}/pods/ended-{namespace}:1"
    market.on_node("skopeo", "delete", "--tls-verify=false", ended)
    until("its layer is gone", lambda: layers["ended"] not in market.on_node(*ctr, "content", "ls"))
    assert layers["kept"] in market.on_node(*ctr, "content", "ls")
    assert {binaries.PAUSE, BUSYBOX} <= set(market.on_node(*ctr, "images", "ls", "-q").split())


def test_the_facade_answers_on_the_caller_s_loopback(market: LiveLocalnet) -> None:
    connection = http.client.HTTPConnection(*market.facade(), timeout=60)
    connection.request("GET", "/", headers={"Host": f"nobody.{market.cluster().domain}"})
    assert connection.getresponse().status == 404
    connection.close()


def test_a_second_up_changes_nothing(market: LiveLocalnet) -> None:
    before = {name: (part["pid"], part["restarts"]) for name, part in market.parts().items()}
    said: list[str] = []
    assert up(market.settings.name, knobs=FAST, say=said.append) == market.settings
    assert said == [f"{market.settings.name} is up already"]
    assert {name: (part["pid"], part["restarts"]) for name, part in market.parts().items()} == before


def test_an_up_that_asks_for_something_else_is_refused(market: LiveLocalnet) -> None:
    with pytest.raises(BadInput, match="other settings"):
        up(market.settings.name, clusters=2, knobs=FAST)
