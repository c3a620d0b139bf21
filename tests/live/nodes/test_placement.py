# SPDX-License-Identifier: Apache-2.0
"""A pod that chooses its node, and mounts a secrets store there: run where both are, refused where not.

The store's driver is a stand-in of ours under the real one's name: that one cannot be had here.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.live.clients.publisher import Deployed, Json, Publisher, finish
from tests.live.conftest import unique
from tests.live.localnet_fixture import FAST, LiveLocalnet, localnet
from tests.live.observers.cluster import replicas
from tests.live.observers.waiting import until
from tests.paths import EXAMPLES
from trustedpods.localnet.settings import ZONE_LABEL
from trustedpods.manifests.spec import quantity
from trustedpods.manifests.spec.csi.volume import SECRETS_STORE
from trustedpods.protocol.errors import ExitCode

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def market() -> Iterator[LiveLocalnet]:
    """Of its own: no other has a secrets store or an ingress controller."""
    with localnet(knobs=FAST.model_copy(update={"secrets_store": True, "ingress": True})) as running:
        folder = running.cluster().path("store")
        (folder / "production.toml").write_text(CONFIG)
        (folder / ".token").write_bytes((EXAMPLES / "htpasswd").read_bytes())
        yield running


CONFIG = "answer = 42\n"


def store(driver: str) -> Json:
    """A volume out of the publisher's store, which the secret `login` opens."""
    csi: Json = {"driver": driver, "store": "publisher", "nodePublishSecretRef": {"name": "login"}}
    if driver == SECRETS_STORE:
        parameters = {"config.toml": "production.toml"}
        csi["secretProviderClass"] = {"provider": "folder", "parameters": parameters}
    return {"name": "config", "csi": csi}


def of_zone(zone: str) -> Callable[[Json], None]:
    def change(spec: Json) -> None:
        spec["nodeSelector"] = {ZONE_LABEL: zone}
        spec["scale"] = {"min": 1, "max": 1}
        spec["volumes"] = [
            {"name": "login", "secret": {"files": {"token": "htpasswd"}}},
            store(SECRETS_STORE),
        ]
        spec["containers"][0]["volumeMounts"] = [{"name": "config", "mountPath": "/config"}]

    return change


def test_a_pod_runs_where_the_label_is_and_is_refused_where_it_is_not(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    zone = market.cluster().name
    [listed] = publisher.run("provider", "list").json["providers"]
    offered = publisher.run("provider", "inspect", listed["name"]).json["capabilities"]
    assert offered["node_labels"] == {ZONE_LABEL: [zone]}
    assert [one["name"] for one in offered["storage_classes"]] == ["local-path"]
    assert offered["csi_drivers"] == [SECRETS_STORE]
    assert offered["largest_node"]["cpu_milli"] > 0
    pod = publisher.deploy(publisher.manifest("hello", unique("here"), of_zone(zone)))
    (replica,) = replicas(market, pod.namespace)
    assert replica["spec"]["nodeSelector"] == {ZONE_LABEL: zone}
    assert replica["spec"]["nodeName"] == zone
    read = market.kubectl(
        "-n", pod.namespace, "exec", replica["metadata"]["name"], "--", "cat", "/config/config.toml"
    )
    assert read == CONFIG
    check_render(market, publisher, pod)
    check_refusals(publisher, zone)


def check_refusals(publisher: Publisher, zone: str) -> None:
    """Where a label or a driver is missing: by name, before payment."""
    before = publisher.run("balance").json["channels"]
    elsewhere = publisher.manifest("hello", unique("elsewhere"), of_zone("nowhere"))
    refused = publisher.run("deploy", elsewhere.name, code=ExitCode.REFUSED)
    assert refused.json["error"]["rule"] == "capability"
    why = f"no node with {ZONE_LABEL}=nowhere; advertised: {ZONE_LABEL}={zone}"
    assert why in refused.err
    assert len(publisher.run("balance").json["channels"]) == len(before), "nothing was paid"
    assert why in publisher.run("estimate", elsewhere.name, code=ExitCode.REFUSED).err
    [unfit] = publisher.run("provider", "list", "--for", elsewhere.name).json["providers"]
    assert unfit["unfit"] == why

    def with_another_driver(spec: Json) -> None:
        of_zone(zone)(spec)
        spec["volumes"][1] = store("csi.example.org")

    file = publisher.manifest("hello", unique("driver"), with_another_driver)
    refused = publisher.run("deploy", file.name, code=ExitCode.REFUSED)
    assert f"no CSI driver csi.example.org; there is {SECRETS_STORE}" in refused.err
    assert len(publisher.run("balance").json["channels"]) == len(before), "nothing was paid"


def check_render(market: LiveLocalnet, publisher: Publisher, pod: Deployed) -> None:
    """What `render` shows is what the cluster holds, in all that the provider wrote."""
    made = publisher.run("render", pod.file.name).json["objects"]
    assert {
        "Namespace",
        "ResourceQuota",
        "NetworkPolicy",
        "Secret",
        "Deployment",
        "Service",
        "SecretProviderClass",
    } <= {one["kind"] for one in made}
    for one in made:
        kind, name = one["kind"].lower(), one["metadata"]["name"]
        name = pod.namespace if kind == "namespace" else name
        held = json.loads(market.kubectl("-n", pod.namespace, "get", kind, name, "-o", "json"))
        if kind == "secret":
            assert one["data"] == dict.fromkeys(held["data"], "(not shown)")
            one.pop("data")
        assert missing(one, held, pod.namespace) == [], f"{kind} {name}"


def missing(wanted: Any, held: Any, namespace: str, at: str = "") -> list[str]:
    """Where *held* differs from *wanted* in what that says; namespaces are named anew in each life."""
    if isinstance(wanted, dict) and isinstance(held, dict):
        below = [missing(value, held.get(key), namespace, f"{at}.{key}") for key, value in wanted.items()]
        return [place for places in below for place in places]
    if isinstance(wanted, list) and isinstance(held, list) and len(wanted) == len(held):
        pairs = zip(wanted, held, strict=True)
        return [
            place
            for number, pair in enumerate(pairs)
            for place in missing(*pair, namespace, f"{at}[{number}]")
        ]
    texts = isinstance(wanted, str) and isinstance(held, str)
    amount = quantity.exact(wanted) if texts else None  # the API server writes 0Mi as 0
    same = held in (wanted, namespace) or (amount is not None and amount == quantity.exact(held))
    same = same or (wanted in ({}, [], "") and not held)
    return [] if same else [f"{at}: {wanted!r} was said, {held!r} is held"]


def with_disk(size: str) -> Callable[[Json], None]:
    def change(spec: Json) -> None:
        spec["workload"] = "stateful"
        spec["replicas"] = 2
        spec.pop("scale", None)
        spec["volumes"] = [{"name": "data", "persistent": {"size": size}}]
        spec["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]

    return change


def test_a_volume_grows_where_its_class_allows_it(market: LiveLocalnet, publisher: Publisher) -> None:
    """The localnet's class cannot grow, and no driver would do it: the test allows it, and does its part."""
    pod = publisher.deploy(publisher.manifest("hello", unique("grows"), with_disk("16Mi")))
    market.kubectl(
        "-n", pod.namespace, "exec", "pod-1", "-c", "hello", "--", "sh", "-c", "echo it > /data/kept"
    )
    larger = publisher.manifest("hello", pod.name, with_disk("24Mi"))
    refused = publisher.run("deploy", larger.name, code=ExitCode.REFUSED)
    assert refused.json["error"]["rule"] == "volumes"
    assert "16 MiB of the storage class local-path, whose volumes cannot grow to 24" in refused.err
    market.kubectl("patch", "storageclass", "local-path", "-p", '{"allowVolumeExpansion": true}')
    deploying = publisher.start("deploy", larger.name, "-o", "json")
    for ordinal in range(2):
        grow(market, pod.namespace, f"data-pod-{ordinal}", "24Mi")
    updated = finish(deploying, 0).json
    assert (updated["update"], updated["namespace"]) == ("stops-first", pod.namespace)
    kept = market.kubectl("-n", pod.namespace, "exec", "pod-1", "-c", "hello", "--", "cat", "/data/kept")
    assert kept.strip() == "it"
    smaller = publisher.manifest("hello", pod.name, with_disk("16Mi"))
    refused = publisher.run("deploy", smaller.name, code=ExitCode.REFUSED)
    assert "none gets smaller" in refused.err
    deleted = publisher.run("delete", pod.name).json
    assert [one["mib"] for one in deleted["retained"]["claims"]] == [24, 24]


def grow(market: LiveLocalnet, namespace: str, claim: str, size: str) -> None:
    """What a CSI driver's resizer does once somebody asked for more: its volume, then the claim's status."""

    def asked() -> Json | None:
        found: Json = json.loads(market.kubectl("-n", namespace, "get", "pvc", claim, "-o", "json"))
        return found if found["spec"]["resources"]["requests"]["storage"] == size else None

    found = until(f"{claim} is asked to grow", asked)
    assert found is not None
    capacity = {"capacity": {"storage": size}}
    volume = found["spec"]["volumeName"]
    market.kubectl("patch", "pv", volume, "--type=merge", "-p", json.dumps({"spec": capacity}))
    status = ["--subresource=status", "--type=merge", "-p", json.dumps({"status": capacity})]
    market.kubectl("-n", namespace, "patch", "pvc", claim, *status)
