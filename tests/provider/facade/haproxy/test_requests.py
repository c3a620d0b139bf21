# SPDX-License-Identifier: Apache-2.0
"""What a request may say, asked of real HAProxy with raw bytes: hosts, targets, claims, sizes."""

import re
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.provider.facade.parts import LiveFacade, Pod, everything, live_facade
from trustedpods.provider.facade.haproxy.requests import CLAIMS, HOST

OWN = "www.shop.localhost"
API = f"{OWN}/api"
ALONE = "alone.localhost"


async def raw(port: int, data: bytes) -> tuple[int, bytes]:
    """Status and body of what comes for exactly these bytes; 0 if nothing does."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(data)
        with trio.fail_after(20):
            answer = await everything(stream)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert not answer or head.startswith(b"HTTP/1.1 "), answer[:100]
    return (int(head[9:12]) if answer else 0), body


def request(target: str | bytes = "/", host: str | None = OWN, *lines: str, method: str = "GET") -> bytes:
    aim = target if isinstance(target, bytes) else target.encode()
    hosts = [] if host is None else [f"Host: {host}"]
    head = "\r\n".join(["", *hosts, *lines, "Connection: close", "", ""])
    return method.encode() + b" " + aim + b" HTTP/1.1" + head.encode("latin-1")


@pytest.fixture
async def shop(tmp_path: Path, nursery: trio.Nursery):
    """Two pods that share a host by a path, and a third with one of its own; pods by their names."""
    async with live_facade(tmp_path) as live:
        pods = {name: Pod(name) for name in ("web", "api", "alone")}
        for name, route in (("web", OWN), ("api", API), ("alone", ALONE)):
            await nursery.start(pods[name].run)
            pods[name].on_any = True
            await live.facade.set_pods((await live.facade.publish(name, [route])).slot, [pods[name].address])
        yield live, pods


HOSTS = {
    OWN: 200,
    OWN.upper(): 200,
    f"{OWN}.": 200,
    f"{OWN}:80": 200,
    f"{OWN}.:65535": 200,
    f"{OWN}:": 200,
    f" {OWN} ": 200,
    "nobody.localhost": 404,
    "127.0.0.1": 404,
    f"x{OWN}": 404,
    f"{OWN}.example": 404,
    "": 400,
    ".": 400,
    f".{OWN}": 400,
    f"{OWN}..": 400,
    "www..localhost": 400,
    f"{OWN}:65536": 400,
    f"{OWN}:http": 400,
    f"{OWN}:80:80": 400,
    f"{OWN}, {ALONE}": 400,
    f"{ALONE},{OWN}": 400,
    f"{OWN} {ALONE}": 400,
    f"{OWN}/api": 400,
    f"{OWN}/": 400,
    f"{OWN}?x": 400,
    f"{OWN}#x": 400,
    f"user@{OWN}": 400,
    f"http://{OWN}": 400,
    f"{OWN}\\api": 400,
    f"{OWN}%2e": 400,
    "%77ww.shop.localhost": 400,
    "-www.localhost": 400,
    "www_shop.localhost": 400,
    "[::1]": 400,
    "a" * 64 + ".localhost": 400,
    "w\xfc.localhost": 400,
}


@pytest.mark.live
async def test_a_host_is_one_name_in_any_spelling(shop):
    live, pods = shop
    found = {host: (await raw(live.port, request("/", host)))[0] for host in HOSTS}
    assert found == HOSTS
    assert pods["web"].served == sum(status == 200 for status in HOSTS.values())
    none, page = await raw(live.port, request("/", None))
    assert (none, b"Host header must be there" in page) == (400, True)
    assert (await raw(live.port, f"GET / HTTP/1.0\r\nHost: {OWN}\r\n\r\n".encode()))[0] == 200
    assert (await raw(live.port, b"GET / HTTP/1.0\r\n\r\n"))[0] == 400
    assert (await raw(live.port, request("/", OWN, f"Host: {ALONE}")))[0] == 400
    assert (await raw(live.port, request("/", OWN, f"Host: {OWN}")))[0] == 200


WEB, API_POD, NO = "web", "api", "refused"
TARGETS = {
    "/": WEB,
    "/x": WEB,
    "/apix": WEB,
    "/API/x": WEB,
    "/x/api/y": WEB,
    "/%7Euser/a%20b": WEB,
    "/100%25": WEB,
    "/x/...": WEB,
    "/.well-known/x": WEB,
    "/x/%E4%B8%96": WEB,
    "/a;v=1/b": WEB,
    "/x?next=/../api%2F..": WEB,
    f"http://{OWN}/x": WEB,
    "/api": API_POD,
    "/api/": API_POD,
    "/api?x": API_POD,
    "/api/x//y": API_POD,
    "/api/group%2Fproject": API_POD,
    "/api/x?y=..": API_POD,
    f"http://{OWN}/api/x": API_POD,
    f"http://{OWN.upper()}/api/x": API_POD,
    "/api/../x": NO,
    "/api/..": NO,
    "/api/.": NO,
    "/x/../api/y": NO,
    "/api/%2e%2e/x": NO,
    "/api/.%2E/x": NO,
    "/api/%252e%252e/x": NO,
    "/api/..%2fx": NO,
    "/api%2f..%2fx": NO,
    "/api/..%5Cx": NO,
    "/api/..\\x": NO,
    "/api\\x": NO,
    "/api%5cx": NO,
    "/api/..;/x": NO,
    "/api/..;v=1/x": NO,
    "/api/..%3b/x": NO,
    "/api/..%20/x": NO,
    "/api%2Fx": NO,
    "/api%252Fx": NO,
    "//api/x": NO,
    "/%2fapi/x": NO,
    "/;/api/x": NO,
    "/api;v=1/x": NO,
    "/%61pi/x": NO,
    "/%2561pi/x": NO,
    "/api/%00": NO,
    "/api/%0d%0a": NO,
    "/api/..%00/x": NO,
    "/api/%c0%ae%c0%ae/x": NO,
    "/api/%e0%80%ae/x": NO,
    "/api/%zz": NO,
    "/api/%u002e": NO,
    "/api/%": NO,
    f"http://{OWN}/api/../x": NO,
    f"http://{ALONE}/x": NO,
    f"http://{ALONE}@{OWN}/api/../x": NO,
    "api/x": NO,
    ".localhost/x": NO,
    "/x#/api": NO,
    "*": NO,
    "": NO,
}


@pytest.mark.live
async def test_every_reading_of_a_target_leads_to_the_same_pod_or_none(shop):
    live, pods = shop
    found = {}
    for target in TARGETS:
        before = {name: pod.served for name, pod in pods.items()}
        status, page = await raw(live.port, request(target))
        reached = [name for name, pod in pods.items() if pod.served > before[name]]
        found[target] = reached[0] if reached else NO
        assert (status == 200) == bool(reached), (target, status, page)
        assert reached or (status, b"<html>" in page) == (400, False), target
    assert found == TARGETS
    assert b"POST" not in b"".join(pods["web"].heads)
    assert (await raw(live.port, request("*", OWN, method="OPTIONS")))[0] == 200
    assert (await raw(live.port, request(f"{OWN}:80", OWN, method="CONNECT")))[0] == 501


@pytest.mark.live
async def test_a_pod_with_a_host_of_its_own_gets_every_target_as_it_was_sent(shop):
    live, pods = shop
    sent = [target for target in TARGETS if target.startswith("/") and "#" not in target]
    for target in sent:
        assert (await raw(live.port, request(target, ALONE)))[0] == 200, target
    assert [head.split(b" ")[1].decode() for head in pods["alone"].heads] == sent
    await raw(live.port, request(f"http://{ALONE}/a?b", ALONE))
    assert pods["alone"].heads[-1].startswith(b"GET /a?b HTTP/1.1\r\n"), "an absolute target is a proxy's"


CLAIMED = re.findall(
    r"\S+",
    """
X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Forwarded-Port X-Forwarded-Server
X-Forwarded-Ssl X-Forwarded-Prefix X-Forwarded-Scheme X-Forwarded-Uri X-Forwarded-User
X-Forwarded-Client-Cert X-Forwarded X-Forward-For Forwarded Forwarded-For X-Original-Forwarded-For
X-Real-IP X-Real-Port True-Client-IP X-True-Client-IP CF-Connecting-IP CF-Connecting-IPv6
CF-IPCountry CF-Visitor Client-IP X-Client-IP X-Cluster-Client-IP X-Azure-ClientIP X-Azure-SocketIP
Fastly-Client-IP Fly-Client-IP X-Remote-IP X-Remote-Addr Remote-Addr X-Remote-User Remote-User
X-Originating-IP X-ProxyUser-Ip WL-Proxy-Client-IP Proxy-Client-IP X-Appengine-User-IP
X-Vercel-Forwarded-For X-Nf-Client-Connection-Ip X-Envoy-External-Address X-Amzn-Oidc-Identity
X-ARR-SSL X-Original-URL X-Original-URI X-Original-Host X-Rewrite-URL X-Host X-Port X-Scheme
X-Url-Scheme X-Https X-Proxy-User Proxy Proxy-Authorization Proxy-Connection Front-End-Https
SSL-Client-Cert X-SSL-Client-Verify X-Client-Cert Client-Cert X-Auth-Request-User
X-Authenticated-User X-WebAuth-User X-Goog-Iap-Jwt-Assertion X-Goog-Authenticated-User-Email
X-MS-Client-Principal Tailscale-User-Login CDN-Client-Country X_Real_IP X_FORWARDED_FOR
X.Forwarded.For x_forwarded_host Keep-Alive HTTP2-Settings
    """,
)
KEPT = re.findall(
    r"\S+",
    """
Cookie Authorization Accept Accept-Language Content-Type User-Agent Referer Origin Range
If-None-Match Via X-Requested-With X-Api-Key X-Csrf-Token X-Http-Method-Override X-Request-Id
Traceparent Client-Id X-Amz-Date X-Relationship X-Zip X-Tooltip X-User-Id Sec-Fetch-Site
Upgrade-Insecure-Requests CDN-Loop DNT X-Goog-Api-Key X-Ms-Client-Request-Id X-Portal
X-Hostname-Hint
    """,
)


def names(head: bytes) -> list[str]:
    return [line.split(b":")[0].decode().lower() for line in head.split(b"\r\n")[1:]]


@pytest.mark.live
async def test_what_a_client_says_about_itself_is_replaced_by_what_is_known(shop):
    live, pods = shop
    lines = [f"{name}: 6.6.6.6" for name in (*CLAIMED, *KEPT)]
    await raw(live.port, request("/", f"{OWN}:8080", *lines))
    head = pods["web"].heads[-1].decode().lower()
    got = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    known = {
        "x-forwarded-for": "127.0.0.1",
        "x-real-ip": "127.0.0.1",
        "x-forwarded-proto": "http",
        "x-forwarded-host": f"{OWN}:8080",
        "x-forwarded-port": str(live.port),
    }
    assert {name: got[name] for name in known} == known
    ours = {*known, "host", *(name.lower() for name in KEPT)}
    assert set(names(pods["web"].heads[-1])) == ours
    assert len(names(pods["web"].heads[-1])) == len(ours), "each of them once"


@pytest.mark.live
async def test_of_connection_only_known_words_stay_and_what_it_names_is_deleted(shop):
    live, pods = shop
    cases = {
        "close, X-Secret": "",
        "X-Secret,keep-alive , X-Other": "",
        "X-Secret, X-Real-IP, X-Forwarded-For, X-Other": "",
        "x-secret, Host, Content-Length, x-other": "",
        "Upgrade, X-Secret": "upgrade",
    }
    for value, kept in cases.items():
        lines = ["X-Secret: 1", "X-Other: 2", f"Connection: {value}", "Content-Length: 0", "X-Mine: 3"]
        assert (await raw(live.port, request("/", OWN, *lines)))[0] == 200
        head = pods["web"].heads[-1].lower()
        left = names(head)
        assert "x-secret" not in left
        assert ("x-other" in left) == ("other" not in value.lower())
        assert {"x-mine", "host", "content-length", "x-real-ip", "x-forwarded-for"} <= set(left)
        words = re.search(rb"\r\nconnection: ([^\r]*)", head)
        assert {word for word in (words[1].decode() if words else "").split(", ") if word} <= {
            "close",
            "keep-alive",
            kept,
        }


@given(st.sampled_from(CLAIMED), st.integers(0, 1 << 32))
def test_a_claim_is_one_in_every_case_of_its_letters(name, seed):
    spelled = "".join(char.upper() if seed >> at % 32 & 1 else char.lower() for at, char in enumerate(name))
    claims = re.compile("(?i)" + "|".join(CLAIMS))
    assert claims.search(spelled) or name in ("Keep-Alive", "HTTP2-Settings")


@given(
    st.from_regex(
        r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?){0,4}\.?", fullmatch=True
    )
)
def test_every_name_of_dns_is_a_host(name):
    assert re.match(HOST, name, re.IGNORECASE)
    assert not re.match(HOST, f"{name}, {name}")
    assert not re.match(HOST, f"{name}/")


LARGE = {
    "fits": (request("/", ALONE, "X-Big: " + "b" * 32_000), 200, b"alone"),
    "headers, read": (request("/", ALONE, "X-Big: " + "b" * 33_000), 431, b"32 KB"),
    "headers, nearly not read": (request("/", ALONE, "X-Big: " + "b" * 60_000), 431, b"32 KB"),
    "headers, not read": (request("/", ALONE, "X-Big: " + "b" * 70_000), 431, b"32 KB"),
    "headers without end": (b"GET / HTTP/1.1\r\nX-Big: " + b"b" * 200_000, 431, b"32 KB"),
    "lines fit": (request("/", ALONE, *(f"X-{n}: 1" for n in range(250))), 200, b"alone"),
    "lines": (request("/", ALONE, *(f"X-{n}: 1" for n in range(270))), 431, b"256 lines"),
    "lines, not read": (request("/", ALONE, *(f"X-{n}: 1" for n in range(1500))), 431, b"256 lines"),
    "address fits": (request("/" + "u" * 32_000, ALONE), 200, b"alone"),
    "address": (request("/" + "u" * 33_000, ALONE), 414, b"32 KB"),
    "address, not read": (request("/" + "u" * 70_000, ALONE), 414, b"32 KB"),
    "address without end": (b"GET /" + b"u" * 200_000, 414, b"32 KB"),
}


@pytest.mark.live
async def test_too_large_is_said_with_the_bound_also_when_it_cannot_be_read(shop):
    live, _ = shop
    for name, (data, status, words) in LARGE.items():
        found, page = await raw(live.port, data)
        assert (name, found, words in page) == (name, status, True), page[:200]


ANSWERS = {
    "fits": (b"X-Big: " + b"b" * 32_000 + b"\r\n", 200, b"ok"),
    "large": (b"X-Big: " + b"b" * 33_000 + b"\r\n", 502, b"headers of the pod's answer are too large: 32 KB"),
    "too large to be read": (b"X-Big: " + b"b" * 70_000 + b"\r\n", 502, b"headers far too large: 32 KB"),
    "cookies fit": (b"".join(b"Set-Cookie: c%d=1\r\n" % n for n in range(250)), 200, b"ok"),
    "cookies": (b"".join(b"Set-Cookie: c%d=1\r\n" % n for n in range(300)), 502, b"256 lines"),
    "too many to be read": (b"".join(b"Set-Cookie: c%d=1\r\n" % n for n in range(2000)), 502, b"256 lines"),
}


@pytest.mark.live
async def test_an_answer_that_is_too_large_is_told_as_one(live: LiveFacade, nursery: trio.Nursery):
    class Large(Pod):
        async def on_head(self, stream, method, path, rest) -> None:
            lines = ANSWERS[path.decode().split("/")[2].replace("_", " ")][0]
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + lines + b"\r\nok")

    pod = Large("large")
    await nursery.start(pod.run)
    await live.facade.set_pods((await live.facade.publish("large", [ALONE])).slot, [pod.address])
    for name, (_, status, words) in ANSWERS.items():
        found, page = await raw(live.port, request(f"/head/{name.replace(' ', '_')}", ALONE))
        assert (name, found, words in page) == (name, status, True), page[:200]
