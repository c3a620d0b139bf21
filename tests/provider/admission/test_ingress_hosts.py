# SPDX-License-Identifier: Apache-2.0
"""Pods that a controller of the cluster's serves: whose hosts are theirs, what they may ask and are told."""

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fakes.provider.caller import Caller, image_of, in_phase, manifest_of, until
from tests.fakes.provider.world import World
from tests.fakes.services import CONTROLLER
from tests.provider.serving.test_host_watch import watch_of
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.bundle import SecretValue
from trustedpods.protocol.messages.pod import PodStatus, StatusBody
from trustedpods.protocol.sealing.replies import verify_statement
from trustedpods.provider.cluster.objects.ingress.view import IngressView
from trustedpods.provider.core.admission import LOST_LOOKS
from trustedpods.provider.core.lifecycle import LifecycleEvent
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.facade.certificates import Authority, utc
from trustedpods.provider.serving.host_watch import PROVE_EVERY_S

HOST = "shop.localhost"
TAKEN = "traefik.example/priority"
CLASSES = {
    "traefik": {"namespace": "ingress", "pod_labels": {"app": "traefik"}, "annotations": [TAKEN]},
}


def shop(host=HOST, name="web", **more):
    ingress = {"className": "traefik", "annotations": {TAKEN: "1"}, **more}
    ports = [{"port": 80, "targetPort": 8080}]
    return {"name": name, "expose": "ingress", "ports": ports, "hosts": [host], "ingress": ingress}


def http(host):
    ports = [{"port": 80, "targetPort": 8080}]
    return {"name": "web", "expose": "http", "ports": ports, "hosts": [host]}


def pod(*services):
    return manifest_of(services=list(services), trust="open", scale={"min": 1, "max": 1})


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, ingress={"classes": CLASSES, "services": 3})


async def deployed(world, address, *services):
    caller = Caller(world, address)
    caller.manifest = pod(*services)
    _, _, signed = await caller.provision()
    return caller, verify_statement(signed, world.keys.reply.public_key().public_bytes_raw())


async def test_the_controllers_address_is_told_and_moves_with_an_update(world):
    async with world.run() as (parts, address):
        caller, statement = await deployed(world, address, shop())
        told = [end.url for end in statement.endpoints]
        assert told == [f"http://{HOST}/", f"tcp://{CONTROLLER}:80"]
        first = parts.pods.get(caller.ref.channel).namespace
        caller.manifest = pod(shop(), http("other.localhost") | {"name": "api"})
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        assert record.namespace != first
        assert [(one.namespace, one.hosts) for one in await world.cluster.ingresses()] == [
            (record.namespace, {HOST})
        ]
        assert record.exposures["web"].addresses == (CONTROLLER,)
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert status.services == {"web": "ingress", "api": "http"}
    async with world.run() as (parts, _):
        assert parts.pods.get(caller.ref.channel).exposures["web"].addresses == (CONTROLLER,)


async def test_it_goes_with_the_service_that_had_it(world):
    async with world.run() as (_, address):
        api = http("other.localhost") | {"name": "api"}
        caller, _ = await deployed(world, address, shop(), api)
        caller.manifest = pod(api)
        await caller.provision()
        assert await world.cluster.ingresses() == []


@pytest.mark.parametrize("mine", [shop(), http(HOST)])
@pytest.mark.parametrize("theirs", [shop(), http(HOST)])
async def test_a_host_is_one_pods_at_a_time(world, mine, theirs):
    async with world.run() as (_, address):
        caller, _ = await deployed(world, address, mine)
        with pytest.raises(Refused) as refused:
            await deployed(world, address, theirs)
        assert refused.value.rule in ("host-taken", "slots")
        caller.manifest = pod(mine)
        await caller.provision()  # its own is no other's


async def test_a_host_is_the_version_befores_until_an_update_is_proven(world):
    async with world.run() as (parts, address):
        caller, _ = await deployed(world, address, http(HOST))
        caller.manifest, world.cluster.hold_starts = pod(http("other.localhost")), True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.provision)
            await until(lambda: in_phase(parts, caller, Phase.STARTING))
            with pytest.raises(Refused) as refused:
                await deployed(world, address, shop())
            assert refused.value.rule == "host-taken"
            world.cluster.release_starts()


async def test_a_host_of_the_clusters_own_ingresses_is_taken(world):
    world.cluster.foreign.append(IngressView("grafana", "grafana", "", frozenset({HOST}), ()))
    async with world.run() as (_, address):
        with pytest.raises(Refused, match="is served for somebody else at this provider"):
            await deployed(world, address, shop())
        await deployed(world, address, shop("another.localhost"))
    assert len(world.cluster.lives) == 1


@pytest.mark.parametrize(
    ("service", "rule"),
    [
        (shop(className="nginx"), "ingress-class"),
        (shop(annotations={"traefik.example/middlewares": "a"}), "ingress-annotation"),
        (shop("web.k1.test.localhost"), "hosts"),
    ],
)
async def test_what_is_not_offered_is_refused_before_anything_is_made(world, service, rule):
    async with world.run() as (_, address):
        with pytest.raises(Refused) as refused:
            await deployed(world, address, service)
        assert refused.value.rule == rule
    assert not world.cluster.lives


async def test_a_provider_without_classes_has_no_room(tmp_path):
    world = World(tmp_path)
    async with world.run() as (_, address):
        with pytest.raises(Refused, match="ingress class traefik is not offered here; there is none"):
            await deployed(world, address, shop())


async def test_services_have_an_end(world):
    async with world.run() as (_, address):
        await deployed(world, address, shop("a.localhost"), shop("b.localhost", "api"))
        with pytest.raises(Refused, match="2 of ingress wanted, 1 free"):
            await deployed(world, address, shop("c.localhost"), shop("d.localhost", "api"))


async def test_a_controller_that_writes_no_address_fails_the_start(world, virtual_time):
    world.cluster.balancers = False
    async with world.run() as (_, address):
        with pytest.raises(Refused, match="ingress class traefik wrote no address of 'web' in 120 s"):
            await deployed(world, address, shop())


def with_certificate(world, address, *names, older_label=False):
    """Somebody whose service has a certificate for these names, and its PEM."""
    now, own = utc(world.now), ec.generate_private_key(ec.SECP256R1())
    made = Authority.make("p", now).issue(names, own, now)
    chain, mark, key = made.pem.partition(b"-----BEGIN PRIVATE")
    sent = chain.replace(b" CERTIFICATE", b" X509 CERTIFICATE") if older_label else chain
    files = {"tls.crt": sent, "tls.key": mark + key}
    volume = {"name": "own", "secret": {"files": dict(zip(files, files, strict=True))}}
    caller = Caller(world, address)
    spec = caller.manifest.model_dump(by_alias=True)["spec"]
    service = shop() | {"tls": {"secretName": "own"}}
    fields = {"trust": "open", "scale": {"min": 1, "max": 1}}
    caller.manifest = manifest_of(services=[service], volumes=[*spec["volumes"], volume], **fields)
    bundle = caller.bundle()
    secrets = [*bundle.secrets, SecretValue(name="own", files=files)]
    caller.bundle = lambda: bundle.model_copy(update={"secrets": secrets})
    return caller, chain


@pytest.mark.parametrize(("names", "taken"), [([HOST], True), ([HOST, "victim.example"], False)])
async def test_a_certificate_is_for_the_services_hosts_alone(world, names, taken):
    async with world.run() as (_, address):
        caller, _ = with_certificate(world, address, *names)
        if taken:
            await caller.provision()
        else:
            with pytest.raises(Refused, match=r"tls\.crt is for 'victim\.example' too"):
                await caller.provision()
        assert bool(world.cluster.lives) is taken


async def test_the_controller_reads_the_certificate_that_was_checked(world):
    """Its label is one that controllers skip, as they would skip it for another behind it."""
    async with world.run() as (parts, address):
        caller, chain = with_certificate(world, address, HOST, older_label=True)
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        files = await world.cluster.secret_files(record.namespace, "own")
        assert files["tls.crt"] == chain


class Names:
    """A resolver that finds proofs, or none."""

    proven = True

    async def check_control(self, host, proofs):
        if not self.proven:
            raise Refused(f"no proof that you control {host}", rule="hosts")


async def test_a_host_whose_proof_is_lost_is_taken_from_the_controller(world):
    names = Names()
    async with world.run() as (parts, address):
        object.__setattr__(parts.doors, "resolver", names)
        names.proven = False
        with pytest.raises(Refused, match="no proof that you control"):
            await deployed(world, address, shop("www.example.org"))
        names.proven = True
        await deployed(world, address, shop("www.example.org"))
        watch = watch_of(parts)
        for proven, there in ((False, 0), (True, 1)):
            names.proven = proven
            for _ in range(LOST_LOOKS + 1):
                await watch.look()
                world.pass_time(int(PROVE_EVERY_S))
            assert len(await world.cluster.ingresses()) == there


OWN = "www.example.org"


async def withheld(world, parts, names):
    """Its proof is lost, and so is its Ingress."""
    watch = watch_of(parts)
    names.proven = False
    for _ in range(LOST_LOOKS + 1):
        await watch.look()
        world.pass_time(int(PROVE_EVERY_S))
    assert await world.cluster.ingresses() == []
    return watch


async def test_a_host_that_an_earlier_daemon_withheld_comes_back(world):
    names = Names()
    async with world.run() as (parts, address):
        object.__setattr__(parts.doors, "resolver", names)
        caller, _ = await deployed(world, address, shop(OWN))
        await withheld(world, parts, names)
    names.proven = True
    async with world.run() as (parts, _):
        object.__setattr__(parts.doors, "resolver", names)
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        await watch_of(parts).look()
        assert [one.hosts for one in await world.cluster.ingresses()] == [{OWN}]


async def test_a_host_comes_back_whose_pod_had_no_money_meanwhile(world):
    names = Names()
    async with world.run() as (parts, address):
        object.__setattr__(parts.doors, "resolver", names)
        caller, _ = await deployed(world, address, shop(OWN))
        watch = await withheld(world, parts, names)
        await parts.pods.step(caller.ref.channel, LifecycleEvent.FUNDS_OUT, "no money")
        await watch.look()
        await parts.pods.step(caller.ref.channel, LifecycleEvent.FUNDED)
        names.proven = True
        await watch.look()
        assert [one.hosts for one in await world.cluster.ingresses()] == [{OWN}]


async def test_hosts_are_withheld_in_the_pods_turn_and_from_the_version_of_then(world):
    names = Names()
    async with world.run() as (parts, address):
        object.__setattr__(parts.doors, "resolver", names)
        caller, _ = await deployed(world, address, shop(OWN), http("other.localhost") | {"name": "api"})
        watch = watch_of(parts)
        turn = parts.provisioning_steps.turns.of(caller.ref.channel)
        async with trio.open_nursery() as nursery, turn:
            world.cluster.calls.clear()
            nursery.start_soon(watch.look)
            with trio.move_on_after(0.2):
                await until(lambda: "write ingresses" in world.cluster.calls)
            await parts.pods.step(caller.ref.channel, LifecycleEvent.FUNDS_OUT, "no money")
        assert "write ingresses" not in world.cluster.calls


def api():
    return http("other.localhost") | {"name": "api"}


async def test_an_update_that_no_controller_takes_ends_where_it_began(world, virtual_time):
    async with world.run() as (parts, address):
        caller, _ = await deployed(world, address, api())
        served = parts.pods.get(caller.ref.channel).request
        world.cluster.balancers = False
        caller.manifest = pod(api(), shop())
        with pytest.raises(Refused, match="ingress class traefik wrote no address of 'web'"):
            await caller.provision()
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        record = parts.pods.get(caller.ref.channel)
        assert (record.request, record.version, set(record.exposures)) == (served, 1, {"api"})
        assert await world.cluster.ingresses() == []


async def test_a_service_that_stays_as_it_was_moves_though_no_controller_answers(world, virtual_time):
    async with world.run() as (parts, address):
        caller, _ = await deployed(world, address, shop())
        first = parts.pods.get(caller.ref.channel).namespace
        world.cluster.balancers = False
        caller.blobs = image_of(b"second")
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        assert (record.namespace != first, record.version) == (True, 2)
        assert record.exposures["web"].addresses == (CONTROLLER,)
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert "wrote no address" in next(one.text for one in status.events if one.reason == "no-address")


def kinds_in(life):
    return {kind for kind, _ in life.objects}


async def test_an_ingress_that_an_update_lacks_goes_before_the_version_before_does(world):
    async with world.run() as (parts, address):
        caller, _ = await deployed(world, address, shop(), api())
        label = parts.pods.get(caller.ref.channel).label
        slot = world.facade.slot_of(f"{label}.api")
        world.facade.held[slot] = 1  # a request that the version before finishes
        caller.manifest, caller.blobs = pod(api()), image_of(b"second")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.provision)
            await until(lambda: parts.pods.get(caller.ref.channel).version == 2)
            await until(
                lambda: not any(kinds_in(life) & {"Ingress"} for life in world.cluster.lives.values())
            )
            assert len(world.cluster.lives) == 2
            world.facade.held.clear()
        assert len(world.cluster.lives) == 1
