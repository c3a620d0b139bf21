# SPDX-License-Identifier: Apache-2.0
"""What the API server's answers mean, and what no answer means."""

import pytest

from tests.fakes.provider.pods import a_life
from tests.fakes.web_server import answer, status_object
from trustedpods.protocol.errors import NetworkFailure, NoContext, Refused, RemoteProtocolError
from trustedpods.provider.cluster.api import errors
from trustedpods.provider.cluster.api.http import ApiPatience
from trustedpods.provider.cluster.client import open_cluster
from trustedpods.provider.cluster.objects.pod_objects import objects


async def test_not_there_is_only_what_the_api_server_says(api_server, kubeconfig_for):
    server = await api_server(status_object(404, "NotFound", 'deployments.apps "pod" not found'))
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        assert await cluster.replicas("tp-x-1") == 0
        await cluster.delete_namespace("tp-x-1")
        await cluster.drop_finalizer("tp-x-1", "pod-a", "uid")


@pytest.mark.parametrize("body", [b"<h1>404 not found</h1>", b"404 page not found\n", b"{}", b"[1]", b""])
async def test_any_other_404_is_trouble(api_server, kubeconfig_for, body):
    server = await api_server(answer(404, body, "text/html"))
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        with pytest.raises(NetworkFailure):
            await cluster.replicas("tp-x-1")
        with pytest.raises(NetworkFailure):
            await cluster.delete_namespace("tp-x-1")


@pytest.mark.parametrize(
    ("reply", "expected", "words"),
    [
        (status_object(403, "Forbidden", "exceeded quota: size"), Refused, "exceeded quota: size"),
        (status_object(422, "Invalid", 'Pod "x" is invalid: spec.y: bad'), Refused, "spec.y: bad"),
        (status_object(401, "Unauthorized", "Unauthorized"), Refused, "Unauthorized"),
        (status_object(409, "Conflict", "object has been modified"), errors.Conflict, "modified"),
        (status_object(500, "InternalError", "etcd leader changed"), NetworkFailure, "etcd leader"),
        (status_object(429, "TooManyRequests", "slow down"), NetworkFailure, "slow down"),
        (answer(502, b"bad gateway", "text/plain"), NetworkFailure, "answered 502"),
        (answer(200, b"no json"), RemoteProtocolError, "no JSON"),
        (b"nonsense\r\n\r\n", RemoteProtocolError, "broken answer"),
        (b"", NetworkFailure, "broken answer"),
    ],
)
async def test_answers(api_server, kubeconfig_for, reply, expected, words):
    server = await api_server(reply)
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        with pytest.raises(expected, match=words):
            await cluster.namespaces()


async def test_a_forbidden_change_is_named(api_server, kubeconfig_for):
    message = 'PersistentVolumeClaim "data" is invalid: spec: Forbidden: spec is immutable after creation'
    server = await api_server(status_object(422, "Invalid", message))
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        with pytest.raises(errors.ImmutableChange, match="is immutable after creation") as caught:
            await cluster.apply(objects(a_life()))
    assert caught.value.rule == "immutable"


async def test_an_ending_namespace_is_named(api_server, kubeconfig_for):
    causes = [{"reason": "NamespaceTerminating", "message": "namespace x is being terminated"}]
    server = await api_server(status_object(403, "Forbidden", "being terminated", causes=causes))
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        with pytest.raises(errors.NamespaceEnding):
            await cluster.apply(objects(a_life()))


async def test_nobody_listens(kubeconfig_for, unused_port):
    async with open_cluster(kubeconfig_for(f"http://127.0.0.1:{unused_port}")) as cluster:
        with pytest.raises(NetworkFailure, match="cannot be reached"):
            await cluster.version()
        with pytest.raises(NetworkFailure, match="cannot be reached"):
            async with cluster.follow_logs("n", "p", "c"):
                pass


async def test_no_answer_in_time(api_server, kubeconfig_for):
    async def silence(stream):
        await stream.receive_some(1)

    server = await api_server(silence)
    async with open_cluster(kubeconfig_for(server.url), patience=ApiPatience(call_s=0.1)) as cluster:
        with pytest.raises(NetworkFailure, match="no answer in time"):
            await cluster.version()


async def test_the_token_is_sent(api_server, kubeconfig_for):
    server = await api_server(answer(200, {"gitVersion": "v1"}))
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        assert await cluster.version() == "v1"
    assert "authorization: Bearer a-token" in server.requests[0]


@pytest.mark.parametrize("text", ["", "no: config", "[", "current-context: x"])
async def test_a_broken_kubeconfig(tmp_path, text):
    path = tmp_path / "broken"
    path.write_text(text)
    with pytest.raises(NoContext, match="cannot be used"):
        async with open_cluster(path):
            pass


async def test_a_missing_kubeconfig(tmp_path):
    with pytest.raises(NoContext):
        async with open_cluster(tmp_path / "none"):
            pass
