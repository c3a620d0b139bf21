# SPDX-License-Identifier: Apache-2.0
"""The Ingress of a service, who may come in by it, and what is seen of any."""

from dataclasses import replace

from tests.fakes.provider.pods import a_life, a_manifest
from tests.provider.cluster.strategies import by_kind
from trustedpods.provider.cluster.objects.ingress.controller_policy import controller_rules
from trustedpods.provider.cluster.objects.ingress.view import IngressView, ingress_view
from trustedpods.provider.core.pod import ServiceExposure
from trustedpods.provider.exposure.ingress_classes import ControllerClass

TOLD = {"traefik.example/priority": "7"}
SHOP = {
    "name": "shop",
    "expose": "ingress",
    "ports": [{"port": 80, "targetPort": 8080}],
    "hosts": ["a.example.org", "b.example.org"],
    "tls": {"secretName": "mine"},
    "ingress": {
        "className": "traefik",
        "annotations": TOLD,
        "paths": [{"path": "/api"}, {"path": "/ping", "pathType": "Exact"}],
    },
}
SECRET = {"name": "mine", "secret": {"files": {"tls.crt": "a", "tls.key": "b"}}}
CLASSES = {"traefik": ControllerClass(namespace="ingress", pod_labels={"app": "traefik"})}


def life(**fields):
    services = [SHOP, {"name": "db", "ports": [{"port": 5432}]}]
    made = a_manifest(volumes=[SECRET], services=services, scale={"min": 1, "max": 1}, trust="open")
    return replace(a_life(made), **({"classes": CLASSES, "secrets": {"mine": {}}} | fields))


def test_it_says_what_the_manifest_says():
    (made,) = by_kind(life(), "Ingress")
    backend = {"service": {"name": "shop", "port": {"number": 80}}}
    paths = [
        {"path": "/api", "pathType": "Prefix", "backend": backend},
        {"path": "/ping", "pathType": "Exact", "backend": backend},
    ]
    assert made["metadata"]["annotations"] == TOLD
    assert made["spec"] == {
        "ingressClassName": "traefik",
        "rules": [{"host": host, "http": {"paths": paths}} for host in SHOP["hosts"]],
        "tls": [{"hosts": SHOP["hosts"], "secretName": "mine"}],
    }


def test_its_service_is_told_the_same_and_asks_for_no_balancer():
    kept = {"shop": ServiceExposure("ingress", None, "10.9.0.9", (), ("192.0.2.9",))}
    services = {one["metadata"]["name"]: one for one in by_kind(life(kept=kept), "Service")}
    assert services["shop"]["metadata"]["annotations"] == TOLD
    assert "annotations" not in services["db"]["metadata"]
    assert (services["shop"]["spec"]["type"], "loadBalancerIP" in services["shop"]["spec"]) == (
        "ClusterIP",
        False,
    )
    (quota,) = by_kind(life(), "ResourceQuota")
    assert quota["spec"]["hard"]["count/ingresses.networking.k8s.io"] == "1"


def test_hosts_that_are_withheld_are_not_served_and_without_any_there_is_no_object():
    (made,) = by_kind(life(withheld=frozenset({"a.example.org"})), "Ingress")
    assert [rule["host"] for rule in made["spec"]["rules"]] == ["b.example.org"]
    assert made["spec"]["tls"][0]["hosts"] == ["b.example.org"]
    assert by_kind(life(withheld=frozenset(SHOP["hosts"])), "Ingress") == []


def test_exactly_the_controllers_pods_come_in_at_the_containers_port():
    found = {one["metadata"]["name"]: one["spec"] for one in by_kind(life(), "NetworkPolicy")}
    assert found["ingress"]["ingress"] == [
        {
            "from": [
                {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}},
                    "podSelector": {"matchLabels": {"app": "traefik"}},
                }
            ],
            "ports": [{"protocol": "TCP", "port": 8080}],
        }
    ]
    assert "nodes" not in found, "nobody else of the world does"
    withdrawn = {one["metadata"]["name"] for one in by_kind(life(classes={}), "NetworkPolicy")}
    assert "ingress" not in withdrawn


def test_an_ingress_of_anybody_is_seen():
    assert ingress_view({"metadata": {"namespace": "n", "name": "x"}, "spec": {}}) == IngressView(
        "n", "x", "", frozenset(), ()
    )
    given = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "in.example.org"}, {}]}}
    (made,) = by_kind(life(), "Ingress")
    seen = ingress_view({**made, "status": given})
    assert seen.addresses == ("192.0.2.1", "in.example.org")
    assert (seen.hosts, bool(seen.label)) == (frozenset(SHOP["hosts"]), True)


def test_a_service_of_a_class_that_is_offered_no_more_has_no_rule():
    manifest = life().manifest
    assert len(controller_rules(manifest, CLASSES)) == 1
    assert controller_rules(manifest, {"nginx": CLASSES["traefik"]}) == []
