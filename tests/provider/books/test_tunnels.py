# SPDX-License-Identifier: Apache-2.0
"""Tunnels as a daemon keeps them: told whole at each look, from the newest book."""

import json

import pytest
import trio

from tests.fakes.provider.caller import Caller, manifest_of
from tests.fakes.provider.world import World
from tests.protocol.networks.books import a_book, entry
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.provider.books.tunnels import Tunnels
from trustedpods.provider.cluster.networks.tunnel_door import TunnelDoor
from trustedpods.provider.core.networks.tunnels import SILENT_S, X25519, address_of

NAMES = {"listen": "127.0.0.1:0", "address": "127.0.0.1", "upstream": ["127.0.0.1:5353"]}
LINK = {"name": "link", "expose": "udp", "ports": [{"port": 51820, "protocol": "UDP"}]}


class Program:
    """What makes tunnels, as far as the daemon sees it: `wanted` is the last that it was told."""

    def __init__(self, path):
        self.door, self.path, self.wanted = TunnelDoor(path), path, []

    async def run(self, task_status=trio.TASK_STATUS_IGNORED):
        with trio.socket.socket(trio.socket.AF_UNIX) as listening:
            await listening.bind(str(self.path))
            listening.listen(1)
            task_status.started()
            while True:
                connection, _ = await listening.accept()
                async with trio.SocketStream(connection) as stream:
                    said = json.loads(b"".join([data async for data in stream]))
                    self.wanted.append(said)
                    views = {name: {"since": SILENT_S, "heard": {"b": -1}} for name in said}
                    await stream.send_all(json.dumps(views).encode())


def world(tmp_path, *sockets):
    offered = {"udp": True, "node_address": "192.0.2.1", "tunnel_sockets": list(sockets)}
    return World(tmp_path, names=NAMES, exposure=offered)


def tunnelled():
    key = {"type": "x25519", "identity": True, "encoding": "base64"}
    return manifest_of(
        scale={"min": 1, "max": 1},
        services=[LINK],
        volumes=[{"name": "keys", "secret": {"files": {"token": "t"}, "generate": {"link": key}}}],
        network={"nodes": ["b"], "tunnel": {"service": "link", "opens": [{"port": 8080}]}},
    )


def far(number, **more):
    return entry(service="link", port=51820, transport="UDP", identity=X25519 + bytes([number]) * 32, **more)


async def test_a_tunnel_follows_its_book(tmp_path):
    here, program = world(tmp_path, "/nowhere"), Program(tmp_path / "s")
    async with here.run() as (parts, address), trio.open_nursery() as nursery:
        await nursery.start(program.run)
        caller = Caller(here, address)
        caller.manifest, caller.book = tunnelled(), a_book(far(1))
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        await parts.tunnels.look([program.door])
        (config,) = program.wanted[-1].values()
        assert [*program.wanted[-1]] == [record.namespace]
        assert (config["address"], config["port"]) == (address_of("shop", "a"), 51820)
        (peer,) = config["peers"]
        assert peer["address"] == address_of("shop", "b")
        await caller.ask("book", a_book(far(2), generation=2), Done)
        await parts.tunnels.look([program.door])
        (after,) = program.wanted[-1].values()
        assert after == config | {"peers": [peer | {"key": after["peers"][0]["key"]}]}
        assert after["peers"][0]["key"] != peer["key"]
        assert parts.tunnels.told(record) == "nothing comes by the tunnel from b"
        (template,) = [
            one["spec"]["template"]["spec"]
            for (kind, _), one in here.cluster.lives[record.namespace].objects.items()
            if kind == "Deployment"
        ]
        alias = {"ip": address_of("shop", "b"), "hostnames": ["b.tunnel.shop.internal"]}
        assert alias in template["hostAliases"]
        nursery.cancel_scope.cancel()


async def test_a_pod_without_a_tunnel_is_looked_into_once_in_each_version(tmp_path, monkeypatch):
    here = world(tmp_path)
    async with here.run() as (parts, address):
        caller = Caller(here, address)
        await caller.provision()
        looks, open_bundle = [], parts.bundles.open

        def counted(record):
            looks.append(record)
            return open_bundle(record)

        monkeypatch.setattr(parts.bundles, "open", counted)
        tunnels = Tunnels(parts.doors, parts.pods, parts.bundles)
        for _ in range(3):
            await tunnels.look([])
        first = parts.pods.get(caller.ref.channel)
        assert [one.request for one in looks] == [first.request]
        looks.clear()
        await parts.pods.change(first.channel, request=first.request + b"other")
        await tunnels.look([])
        assert [one.request for one in looks] == [first.request + b"other"]


async def test_a_node_whose_program_is_away_holds_up_no_other(tmp_path):
    here, program = world(tmp_path), Program(tmp_path / "s")
    async with here.run() as (parts, _), trio.open_nursery() as nursery:
        await nursery.start(program.run)
        doors = [TunnelDoor(tmp_path / "none"), program.door]
        await parts.tunnels.look(doors)
        await parts.tunnels.look(doors)
        assert program.wanted == [{}, {}], "and who was away is told the next time"
        nursery.cancel_scope.cancel()


async def test_what_somebody_left_is_taken_away_and_then_nobody_is_asked(tmp_path):
    here, program = world(tmp_path), Program(tmp_path / "s")
    async with here.run() as (parts, _), trio.open_nursery() as nursery:
        await nursery.start(program.run)
        await parts.tunnels.look([program.door])
        await parts.tunnels.look([program.door])
        assert program.wanted == [{}]
        nursery.cancel_scope.cancel()


async def test_a_provider_without_the_program_refuses(tmp_path):
    here = world(tmp_path)
    async with here.run() as (_, address):
        caller = Caller(here, address)
        caller.manifest, caller.book = tunnelled(), a_book(far(1))
        with pytest.raises(Refused, match="makes no tunnels") as refused:
            await caller.provision()
        assert refused.value.rule == "tunnel"
