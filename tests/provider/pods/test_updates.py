# SPDX-License-Identifier: Apache-2.0
"""An update that changes nothing that runs: terms and notices are taken, and no replica is touched."""

from contextlib import asynccontextmanager

import pytest
import trio

from tests.fakes.provider.caller import Caller, image_of, in_phase, manifest_of, until
from tests.fakes.provider.world import World
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.pod import PodStatus, Statement, StatusBody, StopBody
from trustedpods.protocol.units import Usage
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.lifecycle.workers import decode_statement

KEYS = {"name": "keys", "secret": {"files": {"token": "token.txt"}}}
DISK = {"name": "data", "persistent": {"size": "16Mi"}}
TERMS = {"payment": {"deposit": "7", "maxCostPerDay": "3"}}
SHOP = {
    "services": [
        {
            "name": "web",
            "expose": "ingress",
            "ports": [{"port": 80, "targetPort": 8080}],
            "hosts": ["shop.localhost"],
            "ingress": {"className": "traefik"},
        }
    ],
    "scale": {"min": 1, "max": 1},
}
CLASSES = {"traefik": {"namespace": "ingress", "pod_labels": {"app": "traefik"}}}
TOUCHES = ("apply", "scale", "delete", "prune", "move")
"""How calls of the cluster begin that change something there."""


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def with_ingress(tmp_path):
    return World(tmp_path, ingress={"classes": CLASSES, "services": 3})


def writes(world):
    return [call for call in world.cluster.calls if call.startswith(TOUCHES)]


def replicas(world):
    return {name: {pod.uid for pod in life.pods.values()} for name, life in world.cluster.lives.items()}


def pod_of(**spec):
    """A pod that does not fall asleep while a slow machine looks at its replicas."""
    return manifest_of(**{"scale": {"max": 2, "idleAfter": "1h"}, **spec})


@asynccontextmanager
async def serving(world):
    """A running daemon with that pod."""
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = pod_of()
        await caller.provision()
        yield parts, caller


async def awake(world):
    await until(lambda: any(life.pods for life in world.cluster.lives.values()))


async def begun(caller):
    """A deploy that its publisher leaves, whichever of the two ends of its line hears of that first."""
    try:
        await caller.provision()
    except* NetworkFailure:  # its tasks end in any order when it is cancelled
        pass


async def change_terms(caller, **spec):
    """The same pod under other terms; returns the steps that were told."""
    caller.manifest = pod_of(**{**TERMS, **spec})
    _, steps, _ = await caller.provision()
    return steps


async def test_what_runs_is_not_touched_and_the_new_terms_are_kept(world):
    async with serving(world) as (parts, caller):
        await awake(world)
        before, running, written = parts.pods.get(caller.ref.channel), replicas(world), writes(world)
        steps = await change_terms(caller)
        after = parts.pods.get(caller.ref.channel)
        assert "kept" in steps
        assert not {"start", "drain", "apply"}.intersection(steps)
        assert (replicas(world), writes(world)) == (running, written)
        assert (after.phase, after.namespace, after.version) == (Phase.SERVING, before.namespace, 2)
        assert (after.chain, after.terms, after.meter) == (before.chain, before.terms, before.meter)
        assert (after.previous, after.other, after.applied) == (None, None, False)
        assert parts.bundles.open(after).bundle == caller.bundle()


async def test_it_is_confirmed_for_its_own_generation(world):
    async with serving(world) as (parts, caller):
        before = parts.pods.get(caller.ref.channel).generation
        await change_terms(caller)
        record = parts.pods.get(caller.ref.channel)
        statement = decode(decode_statement(record.statement).statement, Statement)
        assert statement.generation == record.generation > before
        assert statement.namespace == record.namespace
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert (status.phase, status.generation) == ("serving", record.generation)


async def test_a_webhook_alone_touches_nothing_and_counts(world):
    async with serving(world) as (parts, caller):
        running = replicas(world)
        await change_terms(caller, notify={"webhook": "https://hooks.example.org/pods"})
        opened = parts.bundles.open(parts.pods.get(caller.ref.channel))
        assert opened.manifest.spec.notify.webhook == "https://hooks.example.org/pods"
        assert replicas(world) == running


async def test_a_pod_that_writes_a_volume_is_not_stopped(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.manifest = pod_of(volumes=[KEYS, DISK], scale={"max": 1, "idleAfter": "1h"})
        await caller.provision()
        running, written = replicas(world), writes(world)
        steps = await change_terms(caller, volumes=[KEYS, DISK], scale={"max": 1, "idleAfter": "1h"})
        assert "kept" in steps
        assert (replicas(world), writes(world)) == (running, written)


async def test_anything_else_beside_them_is_proven_as_ever(world):
    async with serving(world) as (parts, caller):
        before = parts.pods.get(caller.ref.channel)
        steps = await change_terms(caller, scale={"max": 2, "idleAfter": "2h"})
        assert "start" in steps
        assert parts.pods.get(caller.ref.channel).namespace != before.namespace


async def test_a_stopped_pod_stays_stopped_and_starts_nothing(world):
    async with serving(world) as (parts, caller):
        await caller.ask("stop", StopBody(), PodStatus)
        await until(lambda: not any(life.pods for life in world.cluster.lives.values()))
        written = writes(world)
        await change_terms(caller)
        assert parts.pods.get(caller.ref.channel).parked
        assert writes(world) == written
        assert not any(life.pods for life in world.cluster.lives.values())


@pytest.mark.parametrize("changes", range(1, 9))
async def test_a_daemon_killed_at_any_step_comes_to_the_new_terms(world, changes, virtual_time):
    """After so many changes of the pod's record; sent again, or not, nothing that runs is touched."""
    async with serving(world) as (parts, caller):
        await awake(world)
        life, caller.manifest = parts.pods.get(caller.ref.channel).namespace, pod_of(**TERMS)
        with trio.move_on_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(begun, caller)
                for _ in range(changes):
                    await parts.pods.changed()
                nursery.cancel_scope.cancel()
    (uids,) = ({pod.uid for pod in one.pods.values()} for one in world.cluster.lives.values())
    async with world.run() as (parts, address):
        caller.address = address
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        assert parts.bundles.open(record).bundle == caller.bundle()
        assert (record.phase, record.version, list(world.cluster.lives)) == (Phase.SERVING, 2, [life])
        assert {pod.uid for pod in world.cluster.lives[life].pods.values()} <= uids


async def test_the_way_back_leads_to_the_terms_that_counted_last(world):
    """A version that fails over changed terms goes back to these; the first terms come back as they went."""
    async with serving(world) as (parts, caller):
        first, blobs = caller.manifest, caller.blobs
        await change_terms(caller)
        kept, (life,) = caller.bundle(), world.cluster.lives
        caller.blobs, running = image_of(b"broken"), replicas(world)
        world.cluster.failing = FailsElsewhere(life)
        with pytest.raises(Refused):
            await caller.provision()
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        await until(lambda: list(world.cluster.lives) == [life])
        assert parts.bundles.open(parts.pods.get(caller.ref.channel)).bundle == kept
        caller.blobs, caller.manifest, world.cluster.failing = blobs, first, {}
        await caller.provision()
        assert replicas(world) == running
        assert parts.bundles.open(parts.pods.get(caller.ref.channel)).bundle == caller.bundle()


class FailsElsewhere(dict):
    """A start that fails in every namespace but one."""

    def __init__(self, good):
        self.good = good

    def __contains__(self, namespace):
        return namespace != self.good

    def get(self, namespace, default=None):
        crash = Diagnosis("container web ended: exit code 7", hopeless=True)
        return crash if namespace != self.good else default


async def test_over_a_version_under_proof_the_one_that_serves_goes_on(world):
    async with serving(world) as (parts, caller):
        await awake(world)
        blobs, running = caller.blobs, replicas(world)
        caller.blobs, world.cluster.hold_starts = image_of(b"second"), True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(begun, caller)
            await until(lambda: len(world.cluster.lives) == 2)
            nursery.cancel_scope.cancel()
        caller.blobs = blobs
        assert "kept" in await change_terms(caller)
        await until(lambda: replicas(world) == running)
        assert parts.pods.get(caller.ref.channel).other is None


async def test_a_service_that_is_missing_is_made_by_a_start_beside(world):
    """As after a kill between a switch of versions and the move of their services."""
    async with serving(world) as (parts, caller):
        before = parts.pods.get(caller.ref.channel)
        (life,) = world.cluster.lives.values()
        for key in [key for key in life.objects if key[0] == "Service"]:
            del life.objects[key]
        steps = await change_terms(caller)
        assert "start" in steps
        after = parts.pods.get(caller.ref.channel)
        assert after.namespace != before.namespace
        assert any(key[0] == "Service" for key in world.cluster.lives[after.namespace].objects)


async def exposed_by_a_controller(world, address):
    caller = Caller(world, address)
    caller.manifest = pod_of(**SHOP)
    await caller.provision()
    return caller


async def test_an_ingress_that_is_missing_is_made_by_a_start_beside(with_ingress):
    """As after a newer bundle that came while the objects of the one before were moved, one after another."""
    async with with_ingress.run() as (parts, address):
        caller = await exposed_by_a_controller(with_ingress, address)
        (life,) = with_ingress.cluster.lives.values()
        del life.objects["Ingress", "web"]
        assert "start" in await change_terms(caller, **SHOP)
        namespace = parts.pods.get(caller.ref.channel).namespace
        assert [one.namespace for one in await with_ingress.cluster.ingresses()] == [namespace]


async def test_an_address_that_came_after_a_switch_was_cut_short_is_told(with_ingress):
    async with with_ingress.run() as (parts, address):
        caller = await exposed_by_a_controller(with_ingress, address)
        (life,) = with_ingress.cluster.lives.values()
        life.objects["Ingress", "web"]["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}
        assert "kept" in await change_terms(caller, **SHOP)
        assert parts.pods.get(caller.ref.channel).exposures["web"].addresses == ("203.0.113.9",)


async def test_a_higher_cap_counts_at_once_for_the_replicas_that_run(world):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = pod_of(scale={"max": 9})
        await caller.pay(peak=Usage(200, 200, 600))
        await caller.provision()
        scaler, before = parts.autoscaler.pod_scaler(caller.ref.channel), parts.pods.get(caller.ref.channel)
        known = await world.chain.channel(world.owner, caller.ref.channel)
        mantissa, exponent = known.terms.cap_mantissa, known.terms.cap_exponent + 3
        await world.chain.raise_cap(caller.key, caller.ref.owner, caller.ref.salt, mantissa, exponent)
        affordable = scaler.state.limits.affordable
        await change_terms(caller, scale={"max": 9})
        after = parts.pods.get(caller.ref.channel)
        assert parts.autoscaler.pod_scaler(caller.ref.channel) is scaler
        assert after.terms != before.terms
        assert after.namespace == before.namespace
        assert affordable < scaler.state.limits.affordable
