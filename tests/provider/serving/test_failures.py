# SPDX-License-Identifier: Apache-2.0
"""A pod that was proven and does not start any more: its owner reads why, whatever the reason."""

from dataclasses import replace

import pytest
import trio

from tests.fakes.provider.caller import serving, until
from tests.fakes.provider.world import World
from tests.provider.core.scaler.test_scaler import LIMITS, awake, looked
from trustedpods.protocol.messages.pod import PodStatus, StatusBody
from trustedpods.provider.cluster.diagnosis import ContainerEnd, Diagnosis
from trustedpods.provider.core.scaler import scaler, types
from trustedpods.provider.facade.activator.wake import WakeAddress, WakeRefusal, ask
from trustedpods.provider.serving import failures
from trustedpods.provider.serving.pod_scaler import SECOND_TRY_S

SECRET = "postgres://shop:hunter2@db"

CRASH = Diagnosis(
    f"container web ended: exit code 4\n{SECRET}",
    hopeless=True,
    end=ContainerEnd("web", 4, 1_800_000_123),
    lines=SECRET,
)
CAUSES = {
    "crash": (CRASH, ("container web ended: exit code 4", "web", 4, 1_800_000_123, SECRET)),
    "out of memory": (
        Diagnosis("container web ended: OOMKilled, exit code 137", True, ContainerEnd("web", 137, None)),
        ("container web ended: OOMKilled, exit code 137", "web", 137, None, ""),
    ),
    "image": (Diagnosis("ErrImagePull: not found", True), ("ErrImagePull: not found", None, None, None, "")),
    "quota": (Diagnosis("FailedCreate: no room", True), ("FailedCreate: no room", None, None, None, "")),
}


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def asleep(world, parts, caller):
    """Wait until the pod has no replica."""
    await until(
        lambda: parts.autoscaler.pod_scaler(caller.ref.channel).state.phase is scaler.ScalePhase.ASLEEP
    )


def namespace_of(world):
    (life,) = world.cluster.lives.values()
    return life.name


async def status_of(caller):
    return await caller.ask("status", StatusBody(), PodStatus)


@pytest.mark.parametrize("cause", CAUSES)
async def test_status_says_why_a_proven_pod_does_not_start(world, tmp_path, virtual_time, cause):
    diagnosis, (reason, container, code, at, lines) = CAUSES[cause]
    async with serving(world) as (parts, caller):
        await asleep(world, parts, caller)
        world.cluster.failing[namespace_of(world)] = diagnosis
        assert isinstance(await ask(tmp_path / "wake.sock", 0), WakeRefusal)
        status = await status_of(caller)
        assert status.phase == "failing"
        told = status.failure
        assert (told.reason, told.container, told.exit_code, told.ended_at) == (reason, container, code, at)
        assert told.lines == lines
        assert (told.tries, told.by_itself) == (1, False)
        assert 0 < told.next_try_at - parts.doors.now() <= scaler.BACKOFF_FIRST_S
        assert [(e.reason, e.text) for e in status.events][-1] == ("start-failed", f"{reason}; 1 in a row")


NODE_SPOILT = [
    Diagnosis("CreateContainerError: failed to reserve container name", hopeless=True, tried_again=True),
    Diagnosis("container web ended: exit code 137", hopeless=True, tried_again=True),
]


@pytest.mark.parametrize("once", NODE_SPOILT)
async def test_one_try_that_the_node_may_have_spoilt_fails_no_request(world, tmp_path, virtual_time, once):
    async with serving(world) as (parts, caller):
        await asleep(world, parts, caller)
        world.cluster.failing[namespace_of(world)] = once
        async with trio.open_nursery() as nursery:
            answers = []

            async def wake():
                answers.append(await ask(tmp_path / "wake.sock", 0))

            nursery.start_soon(wake)
            scaled = parts.autoscaler.pod_scaler(caller.ref.channel)
            await until(lambda: scaled.found == once)
            del world.cluster.failing[namespace_of(world)]
            world.cluster.release_starts()
        assert isinstance(answers[0], WakeAddress)
        status = await status_of(caller)
        assert (status.phase, status.failure) == ("serving", None)


@pytest.mark.parametrize("lasting", NODE_SPOILT)
async def test_what_lasts_over_the_next_try_ends_the_start(tmp_path, virtual_time, lasting):
    world = World(tmp_path, terms={"start_limit_s": 300})
    async with serving(world) as (parts, caller):
        await asleep(world, parts, caller)
        world.cluster.failing[namespace_of(world)] = lasting
        before = trio.current_time()
        assert isinstance(await ask(tmp_path / "wake.sock", 0), WakeRefusal)
        await until(lambda: parts.autoscaler.failure_of(parts.pods.get(caller.ref.channel)), limit=1000)
        assert trio.current_time() - before >= SECOND_TRY_S
        assert (await status_of(caller)).failure.reason == lasting.text


async def test_a_failing_probe_is_told_and_forgotten_when_it_passes(world, tmp_path, virtual_time):
    async with serving(world) as (parts, caller):
        await asleep(world, parts, caller)
        world.ready = False
        assert isinstance(await ask(tmp_path / "wake.sock", 0), WakeRefusal)
        status = await status_of(caller)
        assert (status.phase, status.failure.reason) == (
            "failing",
            "readiness probe: GET / on port 8080: status 500",
        )
        world.ready = True
        await trio.sleep(scaler.BACKOFF_FIRST_S + 1)
        await ask(tmp_path / "wake.sock", 0)
        status = await status_of(caller)
        assert (status.phase, status.failure) == ("serving", None)
        assert status.events[-1].reason == "start-recovered"


async def test_a_start_that_takes_too_long_is_told(world, tmp_path, virtual_time):
    async with serving(world) as (parts, caller):
        await asleep(world, parts, caller)
        world.cluster.hold_starts = True
        assert isinstance(await ask(tmp_path / "wake.sock", 0), WakeRefusal)
        await until(lambda: parts.autoscaler.failure_of(parts.pods.get(caller.ref.channel)), limit=1000)
        status = await status_of(caller)
        assert status.phase == "failing"
        assert "not ready within" in status.failure.reason


async def test_one_that_takes_too_long_is_told_with_the_kubelets_word(world, tmp_path, virtual_time):
    """Of a probe that the kubelet asks: nobody here has heard its answers."""
    async with serving(world) as (parts, caller):
        await asleep(world, parts, caller)
        words = "Unhealthy: Readiness probe failed: no service"
        world.cluster.failing[namespace_of(world)] = Diagnosis(words, hopeless=False)
        assert isinstance(await ask(tmp_path / "wake.sock", 0), WakeRefusal)
        await until(lambda: parts.autoscaler.failure_of(parts.pods.get(caller.ref.channel)), limit=1000)
        reason = (await status_of(caller)).failure.reason
        assert "not ready within" in reason
        assert words in reason


async def test_what_holds_a_start_up_is_told_while_it_is_tried(world, tmp_path, virtual_time):
    async with serving(world) as (parts, caller):
        await asleep(world, parts, caller)
        stuck = Diagnosis("FailedMount: volume not attached yet", hopeless=False)
        world.cluster.failing[namespace_of(world)] = stuck
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, tmp_path / "wake.sock", 0)

            async def told():
                return "starting: FailedMount: volume not attached yet" in (await status_of(caller)).reason

            await until(told)
            nursery.cancel_scope.cancel()


async def test_a_pod_that_fails_for_ever_does_not_fill_its_history(world, tmp_path, virtual_time):
    async with serving(world) as (parts, caller):
        await asleep(world, parts, caller)
        world.cluster.failing[namespace_of(world)] = CRASH
        for _ in range(8):
            await ask(tmp_path / "wake.sock", 0)
            await trio.sleep(scaler.BACKOFF_MAX_S + 1)
        status = await status_of(caller)
        assert status.failure.tries == 8
        told = [event.text for event in status.events if event.reason == "start-failed"]
        assert [text.rpartition(";")[2] for text in told] == [f" {count} in a row" for count in (1, 2, 4, 8)]
        assert not any(SECRET in event.text for event in status.events)


def test_a_pod_that_must_always_run_tries_by_itself():
    limits = types.Limits(min=1)
    state, _ = scaler.step(scaler.begin(limits, 0.0), types.Tick(), 0.0)
    state, _ = scaler.step(state, types.PodsSeen(failure=CRASH.text), 1.0)
    told = failures.failure_of(state, CRASH, 100, 2.0)
    assert (told.by_itself, told.next_try_at) == (True, 104)


@pytest.mark.parametrize("least", [0, 1])
def test_what_is_stopped_and_started_again_has_not_failed_yet(least):
    limits = replace(LIMITS, min=least)
    state, _ = scaler.step(awake(limits), looked(), 1)
    state, _ = scaler.step(state, looked(failure="it crashes"), 2)
    assert (state.phase, state.failures) == (scaler.ScalePhase.FAILING, 1)
    state, _ = scaler.step(state, scaler.LimitsSet(replace(limits, stopped="its publisher")), 3)
    state, _ = scaler.step(state, scaler.LimitsSet(limits), 4)
    assert state.failures == 0
    assert not failures.is_failing(state)
    assert (state.phase is scaler.ScalePhase.WAKING) == bool(least)
