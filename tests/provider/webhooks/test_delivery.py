# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""Warnings reach a publisher's URL, signed; and nobody uses them to reach where he must not."""

import json
import socket

import h11
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.provider.caller import Caller, in_phase, manifest_of, until
from tests.fakes.provider.world import World
from trustedpods.contracts.terms import due
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.bundle import Needs
from trustedpods.protocol.units import Usage
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.core.webhook_url import check_url
from trustedpods.provider.webhooks import client, delivery
from trustedpods.provider.webhooks.client import SIGNATURE_HEADER, TAG, WebhookDoor

KEY = Ed25519PrivateKey.generate()


class Listener:
    """A small HTTP server that keeps what it got and answers with the next of *answers*."""

    def __init__(self, *answers):
        self.answers, self.got = list(answers), []

    async def serve(self, *, task_status=trio.TASK_STATUS_IGNORED):
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started(self.port)
        await trio.serve_listeners(self._talk, listeners)

    async def _talk(self, stream):
        peer, headers, body = h11.Connection(h11.SERVER), {}, b""
        while True:
            event = peer.next_event()
            if event is h11.NEED_DATA:
                peer.receive_data(await stream.receive_some(65536))
            elif isinstance(event, h11.Request):
                headers = dict(event.headers) | {b":path": event.target}
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.ConnectionClosed):
                return
            else:
                break
        self.got.append((headers, body))
        status = self.answers.pop(0) if self.answers else 204
        location = [("location", "http://127.0.0.1:9/stolen")] if status == 302 else []
        head = h11.Response(status_code=status, headers=[*location, ("connection", "close")])
        await stream.send_all(peer.send(head) + peer.send(h11.EndOfMessage()))
        await stream.aclose()


REFUSED = [
    "ftp://example.org/",
    "https://user:secret@example.org/",
    "http:///nowhere",
    "http://example.org:25/",
    "http://example.org:22/",
    "http://example.org:99999/",
    "http://127.0.0.1/",
    "http://10.1.2.3/",
    "http://192.168.0.1:8080/",
    "http://169.254.169.254/latest/meta-data",
    "http://100.64.0.1/",
    "http://0.0.0.0/",
    "http://[::1]/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://224.0.0.1/",
]


@pytest.mark.parametrize("url", REFUSED)
def test_where_nothing_is_ever_sent(url):
    with pytest.raises(Refused) as caught:
        check_url(url, allow_private=False)
    assert caught.value.rule == "webhook"


@pytest.mark.parametrize(
    "url", ["https://example.org/hook?x=1", "http://93.184.216.34:8080/", "http://example.org"]
)
def test_where_it_may_be_sent(url):
    assert check_url(url, allow_private=False).hostname


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_refused(text):
    try:
        parts = check_url(f"http://{text}", allow_private=False)
    except Refused:
        return
    assert parts.hostname


@pytest.mark.parametrize("hidden", ["127.0.0.1", "10.0.0.8", "::1", "::ffff:192.168.1.1"])
async def test_a_name_that_leads_inside_is_not_followed(monkeypatch, hidden):
    family = socket.AF_INET6 if ":" in hidden else socket.AF_INET

    async def resolve(_host, port, **_):
        public = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port))
        return [public, (family, socket.SOCK_STREAM, 6, "", (hidden, port))]

    monkeypatch.setattr(client.trio.socket, "getaddrinfo", resolve)
    with pytest.raises(Refused):
        await WebhookDoor(allow_private=False).send("http://example.org/", b"{}", b"s")


async def test_one_signed_post_under_the_name_that_was_asked_for(nursery):
    there = Listener(204, 302, 500)
    port = await nursery.start(there.serve)
    door, body = WebhookDoor(allow_private=True), b'{"event": "x"}'
    signature = KEY.sign(TAG + body)
    await door.send(f"http://localhost:{port}/hook?who=me", body, signature)
    [(headers, got)] = there.got
    assert (headers[b":path"], got) == (b"/hook?who=me", body)
    assert headers[b"host"] == f"localhost:{port}".encode()
    kind, _, text = headers[SIGNATURE_HEADER.lower().encode()].decode().partition("=")
    assert kind == "ed25519"
    KEY.public_key().verify(bytes.fromhex(text), TAG + got)
    for _ in range(2):  # a redirect is not followed, an error is one
        with pytest.raises(NetworkFailure):
            await door.send(f"http://localhost:{port}/", body, signature)
    assert len(there.got) == 3


async def test_a_server_that_says_nothing_is_given_up(nursery):
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def silent(_stream):
        await trio.sleep_forever()

    nursery.start_soon(trio.serve_listeners, silent, listeners)
    port = listeners[0].socket.getsockname()[1]
    door = WebhookDoor(allow_private=True, within_s=0.2)
    with pytest.raises(NetworkFailure):
        await door.send(f"http://127.0.0.1:{port}/", b"{}", b"s")


async def test_a_pod_s_warnings_arrive_and_are_tried_again(tmp_path, nursery, virtual_time):
    there = Listener(503)  # the first attempt fails
    port = await nursery.start(there.serve)
    world = World(tmp_path, terms={"warn_before_s": 40, "grace_s": 10_000})
    world.webhooks = {"allow_private": True}
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(notify={"webhook": f"http://127.0.0.1:{port}/hook"}, scale={"min": 1})
        await caller.pay(due(Usage(3000, 2000, 20_000), parts.doors.config.prices) + 5)
        await caller.provision()
        world.pass_time(40)
        await until(lambda: in_phase(parts, caller, Phase.STOPPED))
        await until(lambda: len(there.got) >= 2)  # the first was answered with 503
        assert "funds-out" in {json.loads(body)["event"] for _, body in there.got}
        for headers, body in there.got:
            text = headers[SIGNATURE_HEADER.lower().encode()].decode().partition("=")[2]
            world.keys.reply.public_key().verify(bytes.fromhex(text), TAG + body)


async def test_a_pod_with_a_hidden_webhook_is_refused(tmp_path):
    world = World(tmp_path)
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(notify={"webhook": "http://127.0.0.1/x"})
        with pytest.raises(Refused) as caught:
            await caller.provision()
        assert caught.value.rule == "webhook"


class Door:
    """Takes every warning; never ends for those of *silent* URLs."""

    def __init__(self, silent=()):
        self.silent, self.sent, self.at_once = silent, [], 0

    async def send(self, url, body, signature):
        assert len(body) <= client.MAX_BODY
        self.at_once += 1
        try:
            if url in self.silent:
                await trio.sleep_forever()
            await trio.lowlevel.checkpoint()
        finally:
            self.at_once -= 1
        self.sent.append((url, json.loads(body)["text"]))


async def deployed(world, address, url):
    caller = Caller(world, address)
    caller.manifest = manifest_of(notify={"webhook": url})
    await caller.provision()
    return caller


@pytest.mark.parametrize("sign", ["a", "é", "漢", "😀", "\x01", '"', "\ud800"])
async def test_any_text_fits_a_warning(tmp_path, sign, virtual_time):
    """Reasons quote what manifests and clusters say: a sign of them may take twelve bytes in JSON."""
    world = World(tmp_path)
    async with world.run() as (parts, address):
        caller = await deployed(world, address, "http://192.0.32.8/hook")
        parts.warnings._door = door = Door()
        parts.warnings.told(caller.ref.channel, "failed", sign * 4000)
        parts.warnings.told(caller.ref.channel, "failed", "short")
        await until(lambda: len(door.sent) == 2)
        assert set(door.sent[0][1]) == {sign}
        assert door.sent[1][1] == "short"


async def test_a_url_that_never_answers_keeps_no_other_publishers_warnings_away(tmp_path, virtual_time):
    world = World(tmp_path)
    async with world.run() as (parts, address):
        silent, heard = "http://192.0.32.8/silent", "http://192.0.32.8/heard"
        first, second = await deployed(world, address, silent), await deployed(world, address, heard)
        parts.warnings._door = door = Door({silent})
        for number in range(2 * delivery.MAX_QUEUED):
            parts.warnings.told(first.ref.channel, "claim-flags", str(number))
        parts.warnings.told(second.ref.channel, "funds-warning", "soon")
        await until(lambda: door.sent == [(heard, "soon")])
        assert door.at_once <= delivery.MAX_AT_ONCE_OF_PUBLISHER


async def test_nothing_is_sent_for_a_pod_that_nobody_paid_for(tmp_path, virtual_time):
    world = World(tmp_path)
    async with world.run() as (parts, address):
        parts.warnings._door = door = Door()
        stranger = Caller(world, address)
        stranger.manifest = manifest_of(notify={"webhook": "http://192.0.32.8/victim"})
        private, request = stranger.signed("provision", stranger.bundle())
        async with stranger.talk(private, request) as (_, reply):
            await reply(Needs)
        parts.warnings.told(stranger.ref.channel, "failed", "no payment channel came")
        await trio.sleep(100)
        assert door.sent == []
