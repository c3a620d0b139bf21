# SPDX-License-Identifier: Apache-2.0
"""Raw requests, one trait each: what HAProxy answers, and what of it reaches the pod."""

import pytest
import trio

from tests.provider.facade.parts import HOST, LiveFacade, Pod, everything

pytestmark = pytest.mark.live

END = "Connection: close"


def request(line: str, *heads: str, host: str | None = HOST, body: bytes = b"") -> bytes:
    named = [] if host is None else [f"Host: {host}"]
    return "\r\n".join([line, *named, *heads, "", ""]).encode("latin-1") + body


def get(path: str, *heads: str, verb: str = "GET", **more) -> bytes:
    return request(f"{verb} {path} HTTP/1.1", END, *heads, **more)


REACHES = {
    "http/1.0": (request("GET / HTTP/1.0"), b"GET / HTTP/1.0"),
    "host in capitals with a port": (get("/", host=HOST.upper() + ":18872"), b"GET / HTTP/1.1"),
    "options of one path": (get("/x", verb="OPTIONS"), b"OPTIONS /x HTTP/1.1"),
    "a verb of WebDAV": (
        get("/x", "Content-Length: 3", verb="PROPFIND", body=b"abc"),
        b"PROPFIND /x HTTP/1.1",
    ),
    "a verb that nobody knows": (
        get("/x", "Content-Length: 3", verb="QUERY", body=b"abc"),
        b"QUERY /x HTTP/1.1",
    ),
    "get with a body": (get("/", "Content-Length: 5", body=b"hello"), b"GET / HTTP/1.1"),
    "delete with a body": (get("/", "Content-Length: 5", verb="DELETE", body=b"hello"), b"DELETE / HTTP/1.1"),
    "a query with signs": (get("/a?q=a|b&c={d}"), b"GET /a?q=a|b&c={d} HTTP/1.1"),
    "an empty line first": (b"\r\n" + get("/"), b"GET / HTTP/1.1"),
    "an unknown upgrade": (
        request("GET / HTTP/1.1", "Connection: Upgrade, close", "Upgrade: foo/2"),
        b"GET / HTTP/1.1",
    ),
    "headers in other letters": (
        get("/", "X-Name: gr\xfc\xdfe", "X_Under_Score: 1", "X.Dot: 1"),
        b"GET / HTTP/1.1",
    ),
}
"""Requests that the pod gets, and the first line as it sees it."""

ANSWERED = {
    "no host": (get("/", host=None), 400),
    "two hosts": (get("/", "Host: other.example"), 400),
    "another's host": (get("/", host="nobody.k1.test.localhost"), 404),
    "connect": (request(f"CONNECT {HOST}:80 HTTP/1.1", END, host=f"{HOST}:80"), 501),
}
"""Requests that the facade answers itself; the pod sees nothing."""

CLAIMS = (
    "X-Real-IP: 203.0.113.9",
    "X-Forwarded-For: 203.0.113.9",
    "Forwarded: for=203.0.113.9",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Port: 443",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Server: e",
    "X-Forwarded-Ssl: on",
    "X-Original-URL: /admin",
    "True-Client-IP: 203.0.113.9",
)
"""What a client says about itself."""


class Reader(Pod):
    """Reads to the end of what it is sent and answers."""

    on_any = True


@pytest.fixture
async def pod(live: LiveFacade, nursery: trio.Nursery):
    made = Reader("reader", on_any=True)
    await nursery.start(made.run)
    await live.facade.set_pods((await live.facade.publish("a", [HOST])).slot, [made.address])
    return made


async def said(live: LiveFacade, data: bytes) -> bytes:
    async with await trio.open_tcp_stream("127.0.0.1", live.port) as stream:
        await stream.send_all(data)
        with trio.fail_after(30):
            return await everything(stream)


async def test_what_reaches_the_pod_and_as_what(live: LiveFacade, pod: Reader):
    seen = {}
    for name, (data, _) in REACHES.items():
        before = len(pod.heads)
        answer = await said(live, data)
        heads = pod.heads[before:]
        seen[name] = (answer[9:12], [head.split(b"\r\n")[0] for head in heads])
    assert seen == {name: (b"200", [line]) for name, (_, line) in REACHES.items()}


async def test_what_the_facade_answers_itself(live: LiveFacade, pod: Reader):
    seen = {name: int((await said(live, data))[9:12]) for name, (data, _) in ANSWERED.items()}
    assert seen == {name: status for name, (_, status) in ANSWERED.items()}
    assert pod.heads == []


async def test_what_a_client_says_of_itself_never_reaches_the_pod(live: LiveFacade, pod: Reader):
    await said(live, get("/", *CLAIMS))
    lines = pod.heads[-1].decode().lower().split("\r\n")[1:]
    heads = dict(line.split(": ", 1) for line in lines)
    assert not any("203.0.113.9" in value or "evil" in value or "admin" in value for value in heads.values())
    assert heads["x-forwarded-for"] == heads["x-real-ip"] == "127.0.0.1"
    assert (heads["x-forwarded-proto"], heads["x-forwarded-host"]) == ("http", HOST)
    assert heads["x-forwarded-port"] == str(live.port)
    assert len(heads) == len(lines), "each comes once"
