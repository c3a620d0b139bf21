# SPDX-License-Identifier: Apache-2.0
"""Several services of one pod, and hosts of the publisher's own, through the whole daemon."""

from dataclasses import replace

import pytest

from tests.fakes.provider.caller import PORTS, Caller, manifest_of
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.messages.pod import PodStatus, StatusBody
from trustedpods.protocol.sealing.replies import verify_statement
from trustedpods.protocol.units import MIB
from trustedpods.provider.core.scaler.types import Serve
from trustedpods.provider.dns.control import publisher_proof
from trustedpods.provider.exposure.plan import plan, through_facade
from trustedpods.provider.facade.activator.wake import WakeAddress
from trustedpods.provider.facade.haproxy.sessions import Session
from trustedpods.provider.facade.slots import SlotLimits, SlotTable
from trustedpods.provider.serving.connections import close_old
from trustedpods.provider.serving.slots import give_slots, service_spec_of

WEB = {"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]}
H2C = {"port": 80, "targetPort": 9090, "appProtocol": "kubernetes.io/h2c"}
RPC = {"name": "rpc", "expose": "http", "ports": [H2C]}
RAW = {"name": "raw", "expose": "tcp", "ports": [{"port": 7000}]}
OWN_PORT = {"name": "raw", "expose": "tcp", "ports": [{"port": 8080}]}


def three_services(**scale: str):
    (container,) = manifest_of().model_dump(mode="json", by_alias=True)["spec"]["containers"]
    return manifest_of(
        containers=[container | {"ports": PORTS}],
        services=[WEB, RPC, RAW],
        scale={"max": 2, "idleAfter": "5s", **scale},
    )


MOST = SlotLimits(connections=200, rate=400, body_bytes=10 * MIB)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({}, MOST),
        ({"connections": 100}, replace(MOST, connections=100)),
        ({"requestsPerSecond": 500}, MOST),
        ({"bodySize": "1Mi"}, replace(MOST, body_bytes=MIB, stream_bytes=MIB)),
        ({"bodySize": "1Gi"}, replace(MOST, stream_bytes=1024 * MIB)),
    ],
)
def test_no_limit_is_above_the_providers(asked, given):
    manifest = manifest_of(services=[WEB | {"limits": asked}])
    (part,) = through_facade(plan(manifest, "pabc", "k1.x"))
    assert service_spec_of(part, Serve(), MOST).limits == given


def confirmed(world, signed):
    return verify_statement(signed, world.keys.reply.public_key().public_bytes_raw())


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def test_each_service_has_a_slot_an_address_and_wakes_the_pod_at_its_own_port(world):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = three_services()
        _, _, signed = await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        slots = parts.doors.facade.slots_of(record.label)
        assert {key.partition(".")[2] for key in slots} == {"web", "rpc", "raw"}
        urls = {end.service: end.url for end in confirmed(world, signed).endpoints}
        assert urls["rpc"] == f"http://rpc-{record.label}.k1.test.localhost/"
        assert urls["raw"].startswith(f"tcp://{record.label}.k1.test.localhost:200")
        for service, port in (("web", 8080), ("rpc", 9090), ("raw", 7000)):
            answer = await parts.autoscaler.answer_wake(slots[f"{record.label}.{service}"])
            assert isinstance(answer, WakeAddress)
            assert answer.port == port
        ports = {slot: {pod.port for pod in world.facade.pods[slot]} for slot in slots.values()}
        assert set.union(*ports.values()) == {8080, 9090, 7000}
        caller.manifest = manifest_of()
        await caller.provision()
        assert set(parts.doors.facade.slots_of(record.label)) == {f"{record.label}.web"}


async def test_status_says_who_keeps_it_awake_and_what_is_too_old_is_closed(world):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = three_services(maxConnectionAge="1h")
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        slot = parts.doors.facade.slots_of(record.label)[f"{record.label}.raw"]
        world.facade.in_flight = [
            Session("0x1", slot, "203.0.113.7", 4000),
            Session("0x2", slot, "203.0.113.8", 10),
            Session("0x3", 4000, "203.0.113.9", 9999),
        ]
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert "2 requests or connections of 2 addresses" in status.reason
        assert "4000 s old, from 203.0.113.7" in status.reason
        assert await close_old(parts.doors.facade, parts.bundles, parts.autoscaler, [record]) == 1
        assert [one.id for one in world.facade.in_flight] == ["0x2", "0x3"]


class Names:
    """A resolver that knows what it is told."""

    def __init__(self):
        self.proofs = {}

    async def check_control(self, host, proofs):
        if self.proofs.get(host) not in proofs:
            raise Refused(f"no proof that you control {host}", rule="hosts")


async def test_an_own_host_needs_a_proof(world):
    names = Names()
    async with world.run() as (parts, address):
        object.__setattr__(parts.doors, "resolver", names)
        caller = Caller(world, address)
        caller.manifest = manifest_of(services=[WEB | {"hosts": ["www.example.org"]}])
        with pytest.raises(Refused, match="no proof that you control"):
            await caller.provision()
        names.proofs["www.example.org"] = publisher_proof(address_bytes(caller.ref.publisher))
        _, _, signed = await caller.provision()
        urls = [end.url for end in confirmed(world, signed).endpoints]
        assert "http://www.example.org/" in urls


async def test_a_facade_that_lost_its_books_gives_the_ports_that_people_know(world):
    """In whatever order the pods come."""
    async with world.run() as (parts, address):
        callers = Caller(world, address), Caller(world, address)
        for caller in callers:
            caller.manifest = manifest_of(services=[OWN_PORT])
            await caller.provision()
        records = [parts.pods.get(caller.ref.channel) for caller in callers]
        pods = [(record, parts.bundles.open(record)) for record in reversed(records)]
        world.facade.table, before = SlotTable(world.facade.pools), dict(world.facade.labels)
        assert len(set(before.values())) == len(pods)
        await give_slots(parts.doors, parts.meter, pods, parts.autoscaler.hosts)
        assert world.facade.labels == before
