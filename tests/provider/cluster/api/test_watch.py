# SPDX-License-Identifier: Apache-2.0
"""Watches: what is there, every change, and what happens when the server ends or forgets them."""

import json

import pytest
import trio

from tests.fakes.web_server import answer
from trustedpods.protocol.errors import NetworkFailure, RemoteProtocolError
from trustedpods.provider.cluster.api import streams
from trustedpods.provider.cluster.api.http import ApiPatience
from trustedpods.provider.cluster.client import open_cluster


def pod(name, phase="Pending", version="1"):
    metadata = {"namespace": "n", "name": name, "uid": name, "resourceVersion": version}
    return {"metadata": metadata, "spec": {}, "status": {"phase": phase}}


def listing(version, *pods):
    return answer(200, {"metadata": {"resourceVersion": version}, "items": list(pods)})


def line(kind, item):
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def watched(*pieces, forever=False):
    """A chunked answer that sends each piece as a chunk of its own."""

    async def send(stream):
        await stream.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in pieces:
            await stream.send_all(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await trio.sleep(0)
        if forever:
            await stream.receive_some(1)
        await stream.send_all(b"0\r\n\r\n")

    return send


async def take(changes, count):
    return [
        (change.pod.name, change.pod.phase, change.gone)
        for change in [await anext(changes) for _ in range(count)]
    ]


async def test_first_what_is_there_then_changes(api_server, kubeconfig_for):
    text = line("MODIFIED", pod("a", "Running", "2")) + line("ADDED", pod("b", "Pending", "3"))
    text += line("DELETED", pod("a", "Succeeded", "4"))
    halves = text[: len(text) // 2], text[len(text) // 2 :]
    server = await api_server(listing("1", pod("a")), watched(*halves, forever=True))
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        with trio.fail_after(5):
            async with cluster.watch_pods("n") as changes:
                seen = await take(changes, 4)
    assert seen == [
        ("a", "Pending", False),
        ("a", "Running", False),
        ("b", "Pending", False),
        ("a", "Succeeded", True),
    ]
    assert "watch=true" in server.requests[1]
    assert "resourceVersion=1" in server.requests[1]


async def test_it_goes_on_where_the_server_ended_it(api_server, kubeconfig_for):
    bookmark = line("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "7"}})
    server = await api_server(
        listing("1"), watched(bookmark), watched(line("ADDED", pod("a", version="8")), forever=True)
    )
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        with trio.fail_after(5):
            async with cluster.watch_pods() as changes:
                assert await take(changes, 1) == [("a", "Pending", False)]
    assert "resourceVersion=7" in server.requests[2]


async def test_a_forgotten_place_is_listed_again(api_server, kubeconfig_for):
    expired = line("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
    server = await api_server(
        listing("1", pod("a"), pod("b")),
        watched(expired),
        listing("9", pod("b"), pod("c")),
        watched(forever=True),
    )
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        with trio.fail_after(5):
            async with cluster.watch_pods() as changes:
                await take(changes, 2)
                assert await take(changes, 2) == [("a", "Pending", True), ("c", "Pending", False)]


async def test_a_cut_connection_is_trouble_and_not_an_end(api_server, kubeconfig_for):
    async def cut(stream):
        await stream.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab")

    server = await api_server(listing("1"), cut)
    async with open_cluster(kubeconfig_for(server.url)) as cluster, cluster.watch_pods() as changes:
        with pytest.raises(NetworkFailure):
            await anext(changes)


async def test_a_silent_connection_is_trouble(api_server, kubeconfig_for):
    server, patience = await api_server(listing("1"), watched(forever=True)), ApiPatience(watch_silence_s=0.1)
    place = kubeconfig_for(server.url)
    async with open_cluster(place, patience=patience) as cluster, cluster.watch_pods() as changes:
        with pytest.raises(NetworkFailure, match="no answer in time"):
            await anext(changes)


async def test_a_line_without_end():
    lines = streams.Lines(100)
    assert lines.feed(b"a\nb") == [b"a"]
    assert lines.feed(b"c\n\n") == [b"bc", b""]
    with pytest.raises(RemoteProtocolError):
        lines.feed(b"x" * 101)


async def test_nonsense_in_a_watch(api_server, kubeconfig_for):
    server = await api_server(listing("1"), watched(b"no json\n"))
    async with open_cluster(kubeconfig_for(server.url)) as cluster, cluster.watch_pods() as changes:
        with pytest.raises(RemoteProtocolError):
            await anext(changes)


async def test_lists_come_in_pages(api_server, kubeconfig_for):
    first = {"metadata": {"resourceVersion": "1", "continue": "token"}, "items": [pod("a")]}
    server = await api_server(answer(200, first), listing("1", pod("b")))
    async with open_cluster(kubeconfig_for(server.url)) as cluster:
        assert [view.name for view in await cluster.pods()] == ["a", "b"]
    assert "continue=token" in server.requests[1]
