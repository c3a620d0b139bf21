# SPDX-License-Identifier: Apache-2.0
"""Ways through the door to the cluster: what slices say, and writes that lose against a newer book."""

from dataclasses import replace

import pytest

from tests.fakes.web_server import answer, status_object
from tests.protocol.networks.books import a_book, entry
from trustedpods.provider.cluster.client import open_cluster
from trustedpods.provider.cluster.networks.ways import ServiceEnd, change_of, ends_of, way_of
from trustedpods.provider.cluster.objects.names import of_pod
from trustedpods.provider.cluster.objects.network_nodes.ways import LOCAL, ways
from trustedpods.provider.core.networks.local_nodes import NodeWay, PublishedPort, WayEnd

PUBLISHED = PublishedPort("TCP", "192.0.2.7", 30001)
FAR = NodeWay("ns-a", "peer-b-tcp-8080", "7", PUBLISHED, WayEnd(("192.0.2.7",), 30001), local=False)
NEAR = replace(FAR, end=WayEnd(("10.8.0.5", "10.8.0.6"), 9090), local=True)


def held(book=None, local=None):
    """Our slice as the API server holds it."""
    (found,) = [one for one in ways(book or a_book(), local or {}) if one["kind"] == "EndpointSlice"]
    made = of_pod(found, "ns-a", "label")
    return {**made, "metadata": {**made["metadata"], "resourceVersion": "7"}}


def test_a_slice_is_read_as_it_was_written():
    assert way_of(held()) == FAR
    assert way_of(held(local={PUBLISHED: NEAR.end})) == NEAR
    assert way_of(held(a_book(entry(address="")))) is None, "nobody has confirmed it"


@pytest.mark.parametrize(
    "change",
    [
        {"ports": None},
        {"ports": []},
        {"metadata": {"annotations": None}},
        {"metadata": {"annotations": {"trustedpods.dev/published": "TCP x"}}},
        {"metadata": {"annotations": {"trustedpods.dev/published": "TCP x y"}}},
    ],
)
def test_what_somebody_changed_by_hand_is_no_way(change):
    found = held()
    metadata = {**found["metadata"], **change.get("metadata", {})}
    assert way_of({**found, **change, "metadata": metadata}) is None


def test_a_change_makes_the_slice_that_the_books_objects_would():
    for was, to in ((FAR, NEAR), (NEAR, FAR)):
        local = {PUBLISHED: to.end} if to.local else {}
        change, wanted = change_of(replace(to, version=was.version)), held(local=local)
        assert {name: change[name] for name in ("endpoints", "ports")} == {
            name: wanted[name] for name in ("endpoints", "ports")
        }
        assert change["metadata"] == {
            "resourceVersion": "7",
            "annotations": {LOCAL: "yes" if to.local else None},
        }


def test_ready_replicas_behind_a_service():
    def piece(*endpoints, ports=(("TCP", 9090), ("UDP", 53)), kind="IPv4"):
        return {
            "metadata": {"namespace": "ns-b", "labels": {"kubernetes.io/service-name": "p2p"}},
            "addressType": kind,
            "ports": [{"name": "x", "protocol": sort, "port": port} for sort, port in ports],
            "endpoints": [{"addresses": [one], "conditions": ready} for one, ready in endpoints],
        }

    found = ends_of(
        [
            piece(("10.8.0.6", {"ready": True}), ("10.8.0.7", {"ready": False})),
            piece(("10.8.0.5", None), ports=[("TCP", 9090)]),
            piece(("fd00::1", {"ready": True}), kind="IPv6"),
            {**piece(), "ports": None, "endpoints": None},
        ]
    )
    assert found == [
        ServiceEnd("ns-b", "p2p", "TCP", 9090, ("10.8.0.5", "10.8.0.6")),
        ServiceEnd("ns-b", "p2p", "UDP", 53, ("10.8.0.6",)),
    ]


@pytest.mark.parametrize(("code", "reason"), [(409, "Conflict"), (404, "NotFound")])
async def test_a_way_that_a_newer_book_changed_is_left_alone(api_server, kubeconfig_for, code, reason):
    server = await api_server(answer(200, {}), status_object(code, reason, "no"))
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        await cluster.lead(NEAR)
        await cluster.lead(NEAR)
    path = "/apis/discovery.k8s.io/v1/namespaces/ns-a/endpointslices/peer-b-tcp-8080"
    assert [request.split()[:2] for request in server.requests] == [["PATCH", path]] * 2
