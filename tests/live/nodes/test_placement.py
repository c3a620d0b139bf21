# SPDX-License-Identifier: Apache-2.0
"""What a pod asks of a cluster's own parts: its node, a secrets store, larger volumes, an ingress controller.

The store's driver is a stand-in of ours under the real one's name: that one cannot be had here. The ingress
controller is Traefik.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.live.clients.publisher import Deployed, Json, Publisher, finish
from tests.live.conftest import unique
from tests.live.localnet_fixture import FAST, LiveLocalnet, localnet
from tests.live.nodes.through_controller import Controller, write_certificate
from tests.live.observers.books import counted
from tests.live.observers.cluster import remains, replicas, until_zero
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from tests.paths import EXAMPLES
from trustedpods.localnet.settings import ZONE_LABEL
from trustedpods.manifests.spec import quantity
from trustedpods.manifests.spec.csi.volume import SECRETS_STORE
from trustedpods.protocol.errors import ExitCode

pytestmark = pytest.mark.live


GRACE_S = 60
"""What a command may take to bring money to a pod that ran dry, on a machine that is busy."""


@pytest.fixture(scope="module")
def market() -> Iterator[LiveLocalnet]:
    """Of its own: no other has a secrets store or an ingress controller."""
    knobs = {"secrets_store": True, "ingress": True, "grace_s": GRACE_S}
    with localnet(knobs=FAST.model_copy(update=knobs)) as running:
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
        spec["trust"] = "open"
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
        spec["trust"] = "open"
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


STICKY = "traefik.ingress.kubernetes.io/service.sticky.cookie"
PADDED = 100
WHO = "/cgi-bin/whoami"


def served(host: str, **more: Any) -> Callable[[Json], None]:
    """The hello example with two paths at the controller, under a host and a certificate of its own."""

    def change(spec: Json) -> None:
        spec.pop("scale")
        files = {"tls.crt": "tls.crt", "tls.key": "tls.key"}
        paths = [{"path": "/cgi-bin"}, {"path": "/", "pathType": "Exact"}]
        spec |= {
            "workload": "replicated",
            "replicas": 2,
            "trust": "open",
            "volumes": [{"name": "certificate", "secret": {"files": files}}],
        }
        spec["services"][0] |= {
            "expose": "ingress",
            "hosts": [host],
            "tls": {"secretName": "certificate"},
            "ingress": {"className": "traefik", "paths": paths, "annotations": {STICKY: "true"}, **more},
        }

    return change


def test_a_controller_serves_a_pod_under_its_host(
    market: LiveLocalnet, publisher: Publisher, tmp_path: Path
) -> None:
    host = f"{unique('shop')}.localhost"
    trusted = write_certificate(publisher.folder, host)
    pod = publisher.deploy(publisher.manifest("hello", unique("shop"), served(host)))
    urls = [end["url"] for end in pod.result["endpoints"]]
    assert urls[:2] == [f"https://{host}/cgi-bin", f"https://{host}/"]
    address = urlsplit(urls[2]).hostname
    assert address is not None
    controller = Controller(address, trusted)
    until("the controller serves it", lambda: controller.says(host, WHO, "hello from a trusted pod"))
    answer = controller.get(host)
    assert answer.status_code == 200
    assert answer.headers["set-cookie"], "the controller was told of the annotation"
    assert controller.get(host, "/index.html").status_code == 404, "the path is exact"
    assert controller.get("other.localhost", scheme="http").status_code == 404
    check_ingress_object(market, pod, host)
    status = publisher.run("status", pod.name).json
    assert [one["urls"] for one in status["services"]] == [urls]
    check_ingress_refusals(market, publisher, host, tmp_path)

    before = counted(market, pod.namespace)[0]
    sent = controller.pad(host, PADDED)
    bytes_in = counted(market, pod.namespace)[0] - before
    assert sent <= bytes_in <= 2 * sent

    def changed(spec: Json) -> None:
        served(host)(spec)
        spec["containers"][0]["env"][0]["value"] = "hello again"

    newer = publisher.deploy(publisher.manifest("hello", pod.name, changed))
    assert newer.namespace != pod.namespace, "the newer version ran beside the one before"
    until("the newer one answers", lambda: controller.says(host, WHO, "hello again"))

    until("it is billed", lambda: sent <= billed(publisher, pod.name) <= 2 * sent)

    publisher.run("delete", pod.name, "--purge")
    publisher.gone(pod.name)
    label = pod.namespace.split("-")[1]
    until("nothing is left", lambda: not remains(market, label))
    assert host not in market.kubectl("get", "ingress", "-A", "-o", "json")
    until("the controller forgets it", lambda: controller.get(host, scheme="http").status_code == 404)


def check_ingress_object(market: LiveLocalnet, pod: Deployed, host: str) -> None:
    """What the manifest says is what the controller reads."""
    [ingress] = json.loads(market.kubectl("-n", pod.namespace, "get", "ingress", "-o", "json"))["items"]
    assert ingress["metadata"]["annotations"][STICKY] == "true"
    spec = ingress["spec"]
    assert spec["ingressClassName"] == "traefik"
    assert [(one["host"], [path["path"] for path in one["http"]["paths"]]) for one in spec["rules"]] == [
        (host, ["/cgi-bin", "/"])
    ]
    assert [one["hosts"] for one in spec["tls"]] == [[host]]


FUNDED_FOR = "20s"
"""So that its money ends while the test looks."""


def test_a_pod_that_its_money_stopped_is_served_by_its_controller_again(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    host = f"{unique('dry')}.localhost"
    trusted = write_certificate(publisher.folder, host)
    file = publisher.manifest("hello", unique("dry"), served(host))
    pod = publisher.deploy(file, "--deposit", FUNDED_FOR)
    address = urlsplit(pod.result["endpoints"][2]["url"]).hostname
    assert address is not None
    controller = Controller(address, trusted)
    until_zero(market, pod.namespace)
    publisher.run("fund", pod.name, "1")
    until("it serves again", lambda: controller.says(host, WHO, "hello from a trusted pod"))


def billed(publisher: Publisher, name: str) -> int:
    """Bytes that came in, by the periods that are in the books and the one that is open."""
    bill = publisher.run("bill", name).json
    return 1024 * sum(one["ingress_kib"] for one in (*bill["lines"], bill["open_usage"]))


def check_ingress_refusals(market: LiveLocalnet, publisher: Publisher, host: str, folder: Path) -> None:
    """A host of somebody else's, and an annotation that is not taken: nothing is paid."""
    stranger = Publisher(market, Bank(market).new_account(folder), folder)
    write_certificate(folder, host)
    for change, words in (
        (served(host), f"{host} is served for another pod at this provider"),
        (
            served("a.localhost", annotations={"traefik.ingress.kubernetes.io/router.middlewares": "a"}),
            "ingress class traefik takes no annotation traefik.ingress.kubernetes.io/router.middlewares",
        ),
    ):
        file = stranger.manifest("hello", unique("thief"), change)
        refused = stranger.run("deploy", file.name, code=ExitCode.REFUSED)
        assert words in refused.err
    assert stranger.run("balance").json["channels"] == []
