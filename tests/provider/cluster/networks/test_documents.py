# SPDX-License-Identifier: Apache-2.0
"""Networks' Secrets through the door: versions go with each write; only the API server's 404 is "none"."""

import pytest

from tests.fakes.web_server import answer, status_object
from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError
from trustedpods.provider.cluster.api.errors import Conflict
from trustedpods.provider.cluster.client import open_cluster
from trustedpods.provider.cluster.networks import documents

NETWORK = documents.NetworkObject("network-shop-00", "0xabc", "shop")
GONE = status_object(404, "NotFound", 'secrets "network-shop-00" not found')
STORED = {"metadata": {"resourceVersion": "8"}, "data": {"network": "b25l"}}


async def test_only_the_api_servers_own_404_means_none(api_server, kubeconfig_for):
    busy = (status_object(429, "TooManyRequests", "slow down"), answer(404, b"no page", "text/html"))
    server = await api_server(answer(200, STORED), GONE, *busy)
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        found = await cluster.network_document(NETWORK.name)
        assert (found.data, found.version) == (b"one", "8")
        assert await cluster.network_document(NETWORK.name) is None
        for _ in busy:
            with pytest.raises(NetworkFailure):
                await cluster.network_document(NETWORK.name)


@pytest.mark.parametrize(
    "secret", [{}, {"data": {}}, {"data": {"network": "~"}}, {"data": {"network": None}}]
)
async def test_a_secret_that_somebody_changed_is_not_none(api_server, kubeconfig_for, secret):
    server = await api_server(answer(200, {"metadata": {"resourceVersion": "8"}} | secret))
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        with pytest.raises(RemoteProtocolError):
            await cluster.network_document(NETWORK.name)


async def test_a_write_replaces_the_version_that_was_read(api_server, kubeconfig_for):
    server = await api_server(answer(200, STORED), status_object(409, "Conflict", "modified"), GONE)
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        assert await cluster.keep_network_document(NETWORK, b"one", "7") == "8"
        for _ in range(2):
            with pytest.raises(Conflict):
                await cluster.keep_network_document(NETWORK, b"one", "7")
    assert [request.split()[0] for request in server.requests] == ["PUT"] * 3


async def test_the_first_write_makes_the_namespace(api_server, kubeconfig_for):
    made = answer(201, STORED)
    exists = status_object(409, "AlreadyExists", "already exists")
    server = await api_server(GONE, answer(200, {"metadata": {}}), made, exists)
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        assert await cluster.keep_network_document(NETWORK, b"one", None) == "8"
        with pytest.raises(Conflict):
            await cluster.keep_network_document(NETWORK, b"one", None)
    asked = [" ".join(request.split()[:2]).partition("?")[0] for request in server.requests]
    secrets = "POST /api/v1/namespaces/trustedpods-system/secrets"
    assert asked == [secrets, "PATCH /api/v1/namespaces/trustedpods-system", secrets, secrets]


async def test_networks_are_counted_without_what_they_hold(api_server, kubeconfig_for):
    labels = [{"labels": {"trustedpods.dev/network-founder": founder}, "name": "x"} for founder in "aab"]
    labels[1]["annotations"] = {"trustedpods.dev/network": "shop"}
    items = [{"metadata": one} for one in labels]
    server = await api_server(*[answer(200, {"items": items})] * 2)
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        for asked in (cluster.kept_networks, cluster.networks_with_lease):
            kept = [(one.founder, one.network) for one in await asked()]
            assert kept == [("a", ""), ("a", "shop"), ("b", "")]
    for request, kind in zip(server.requests, ("/secrets?", "/leases?"), strict=True):
        assert kind in request
        assert "PartialObjectMetadataList" in request


async def test_a_lease_object_names_its_holder(api_server, kubeconfig_for):
    server = await api_server(answer(200, {}), status_object(403, "Forbidden", "no"))
    lease = documents.NetworkLease("0xabc at laptop", 20, 0.0, 1.5, 3)
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        await cluster.tell_network_lease(NETWORK, lease)
        with pytest.raises(Refused):
            await cluster.tell_network_lease(NETWORK, lease)
    assert "/leases/network-shop-00" in server.requests[0]


async def test_a_network_is_removed_as_it_was_read(api_server, kubeconfig_for):
    changed = status_object(409, "Conflict", "modified")
    server = await api_server(answer(200, {}), GONE, changed, answer(200, {}))
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        for _ in range(2):
            await cluster.remove_network_document(NETWORK, "7")
        with pytest.raises(Conflict):
            await cluster.remove_network_document(NETWORK, "7")
        await cluster.tell_network_lease(NETWORK, None)
    assert [request.split()[0] for request in server.requests] == ["DELETE"] * 4
    assert "/leases/network-shop-00" in server.requests[3]
