# SPDX-License-Identifier: Apache-2.0
"""Which versions of a pod may be proven beside the one before."""

import pytest
from pydantic import BaseModel

from tests.fakes.provider.pods import a_manifest
from trustedpods.manifests.spec.pod import PodSpec
from trustedpods.manifests.versions import runs_alike, why_stopped, why_stopped_before
from trustedpods.protocol.messages.bundle import Bundle, SecretValue


def service(name, expose, **more):
    return {"name": name, "expose": expose, "ports": [{"port": 80, "targetPort": 8080}], **more}


def ingress(name="shop", host="a.example.org", **more):
    return service(name, "ingress", hosts=[host], ingress={"className": "traefik", **more})


def udp(port):
    return service("voice", "udp", ports=[{"port": port, "protocol": "UDP"}])


def pod(*services, **spec):
    return a_manifest(services=list(services), **{"scale": {"min": 1, "max": 1}, "trust": "open", **spec})


WEB = service("web", "http")
DISK = {"name": "data", "persistent": {"size": "1Mi"}}
OTHER_TARGET = [{"port": 80, "targetPort": 9090}]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([WEB], [WEB, service("api", "http")]),
        ([WEB], [WEB, service("db", "tcp"), service("own", "none")]),
        ([WEB, ingress()], [WEB]),
        ([ingress()], [ingress()]),
        ([service("node", "nodePort")], [service("node", "nodePort", ports=OTHER_TARGET)]),
        ([service("lb", "loadBalancer")], [service("lb", "loadBalancer"), WEB]),
        ([udp(53)], []),
    ],
)
def test_what_nobody_else_may_refuse_is_proven_beside_the_one_before(before, after):
    assert why_stopped_before(pod(*before), pod(*after)) == ""


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ([WEB], [service("web", "tcp")], "service web is exposed in another way"),
        ([service("web", "nodePort")], [service("web", "loadBalancer")], "exposed in another way"),
        ([WEB], [WEB, ingress()], "service shop is new, and the cluster may refuse it"),
        ([ingress()], [ingress("renamed")], "service renamed is new"),
        ([service("shop", "none")], [ingress()], "service shop is new"),
        ([ingress()], [ingress(host="b.example.org")], "service shop is reached in another way"),
        ([ingress()], [ingress(className="nginx")], "service shop is reached in another way"),
        ([ingress()], [ingress(paths=[{"path": "/api"}])], "service shop is reached in another way"),
        ([ingress()], [ingress(annotations={"a.example/b": "1"})], "service shop is reached in another way"),
        ([WEB], [WEB, service("node", "nodePort")], "service node is new"),
        ([WEB], [WEB, service("lb", "loadBalancer")], "service lb is new"),
        ([udp(53)], [udp(54)], "service voice is reached in another way"),
    ],
)
def test_what_a_cluster_may_refuse_stops_the_version_before(before, after, why):
    assert why in why_stopped_before(pod(*before), pod(*after))


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"volumes": [{"name": "data", "persistent": {"size": "1Mi"}}]}, "may not write one volume"),
        ({"workload": "replicated", "replicas": 2, "strategy": "Recreate", "scale": None}, "Recreate"),
        ({"workload": "stateful", "replicas": 2, "scale": None}, "one identity"),
    ],
)
def test_what_may_never_run_twice(spec, why):
    fields = {"trust": "open", **spec}
    stops = a_manifest(services=[WEB], **{name: one for name, one in fields.items() if one is not None})
    assert why in why_stopped(stops)
    assert why in why_stopped_before(pod(WEB), stops)
    assert why in why_stopped_before(stops, pod(WEB))


def sent(manifest, **parts):
    """A bundle of that manifest, as it is sent."""
    text = manifest.model_dump_json(by_alias=True).encode()
    held = {"name": "web", "images": [], "secrets": [], "seeds": [], "commanders": [b"c" * 20], **parts}
    return Bundle(manifest=text, **held)


def alike(before, after, **parts):
    return runs_alike(sent(before), sent(after, **parts), (before, after))


TERMS = {
    "payment": {"deposit": "2", "maxCostPerDay": "5"},
    "notify": {"webhook": "https://hooks.example.org/x"},
    "trust": "sealed",
    "policy": "ours",
}
"""What no container, no object of the cluster and no way in depends on; `pod` says open."""


@pytest.mark.parametrize("field", TERMS)
def test_terms_and_notices_change_nothing_that_runs(field):
    assert alike(pod(WEB), pod(WEB, **{field: TERMS[field]}))
    assert alike(pod(WEB, **{field: TERMS[field]}), pod(WEB))
    assert alike(pod(WEB), pod(WEB, **TERMS))


@pytest.mark.parametrize("field", sorted({*PodSpec.model_fields} - {*TERMS}))
def test_a_change_of_any_other_field_is_one_of_what_runs(field):
    """Whatever the value is: `model_copy` takes one that no manifest has, beside changed terms."""
    changed = pod(WEB, **TERMS)
    spec = changed.spec.model_copy(update={field: "another value"})
    other = changed.model_copy(update={"spec": spec})
    assert not runs_alike(sent(pod(WEB)), sent(changed), (pod(WEB), other))


def each_changed(value):
    """The *value* as often as it has leaves, each time with another one of them changed."""
    if isinstance(value, BaseModel):
        held = {name: getattr(value, name) for name in type(value).model_fields}
        return [value.model_copy(update=other) for other in each_changed(held)]
    if isinstance(value, list):
        return [[*other.values()] for other in each_changed(dict(enumerate(value)))]
    if isinstance(value, dict):
        return [value | {key: other} for key, one in value.items() for other in each_changed(one)]
    return ["another value"]


def test_nor_is_any_leaf_below_them_a_matter_of_terms():
    before = pod(WEB, ingress(annotations={"a.example/b": "1"}), volumes=[DISK])
    parts = {name: getattr(before.spec, name) for name in {*PodSpec.model_fields} - {*TERMS}}
    found = [
        before.model_copy(update={"spec": before.spec.model_copy(update={name: other})})
        for name, part in parts.items()
        for other in each_changed(part)
    ]
    assert len(found) > len(PodSpec.model_fields) * 3
    assert not [one for one in found if runs_alike(sent(before), sent(before), (before, one))]


@pytest.mark.parametrize(
    "parts",
    [
        {"secrets": [SecretValue(name="keys", files={"token": b"other"})]},
        {"commanders": [b"d" * 20]},
        {"name": "other"},
    ],
)
def test_nor_is_another_secret_or_commander_a_matter_of_terms(parts):
    assert not alike(pod(WEB), pod(WEB, **TERMS), **parts)
