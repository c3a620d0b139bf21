# SPDX-License-Identifier: Apache-2.0
"""What waking pods are told; the watch itself is in `test_autoscaler.py`."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.cluster.freezer.door import Freezer
from trustedpods.provider.cluster.freezer.listening import Listener
from trustedpods.provider.facade.readiness import Tally
from trustedpods.provider.serving.replica_watch import (
    DIAGNOSE_AFTER_S,
    LISTENED_AT_ONCE,
    LISTENING_LIMIT_S,
    ReplicaWatch,
)


@dataclass
class Cluster:
    """Diagnoses namespaces: says something, is away, or is silent until `answers` is set."""

    answers: trio.Event = field(default_factory=trio.Event)

    async def diagnose(self, namespace):
        if namespace == "well":
            return None
        if namespace == "silent":
            await self.answers.wait()
        if namespace == "away":
            raise NetworkFailure("no answer")
        return Diagnosis(f"why {namespace} waits", hopeless=False)


@dataclass
class Starting:
    """As much of a scaler as is asked about a start."""

    namespace: str
    waking: bool = True
    since: float = 0.0
    told: list[str] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)

    @property
    def published(self):
        return SimpleNamespace(namespace=self.namespace, label=self.namespace)

    @property
    def state(self):
        return SimpleNamespace(since=self.since)

    def diagnosed(self, found):
        self.told.append(found and found.text)


async def test_one_that_is_slow_to_tell_hides_no_other(autojump_clock):
    cluster = Cluster()
    watch = ReplicaWatch(SimpleNamespace(cluster=cluster), None, None, None)
    pods = [Starting("silent"), Starting("away"), Starting("a"), Starting("asleep", waking=False)]
    pods.append(Starting("b", since=trio.current_time() + 60))
    await trio.sleep(DIAGNOSE_AFTER_S)
    for pod in pods[:4]:
        pod.since = trio.current_time() - DIAGNOSE_AFTER_S
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.diagnose_waking, pods)
        await trio.testing.wait_all_tasks_blocked()
        assert [pod.told for pod in pods] == [[], [], ["why a waits"], [], []]
        cluster.answers.set()
    assert pods[0].told == ["why silent waits"]


async def test_what_is_told_too_late_is_told_to_nobody(autojump_clock):
    cluster, pod = Cluster(), Starting("silent", since=-DIAGNOSE_AFTER_S)
    watch = ReplicaWatch(SimpleNamespace(cluster=cluster), None, None, None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.diagnose_waking, [pod])
        await trio.testing.wait_all_tasks_blocked()
        pod.waking = False
        cluster.answers.set()
    assert pod.told == []


@dataclass
class Node:
    """An agent that tells of one replica, or hangs."""

    there: bool = True
    hangs: bool = False
    at_once: int = 0
    most: int = 0

    async def listening(self, uids):
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await (trio.sleep_forever() if self.hangs else trio.testing.wait_all_tasks_blocked())
        finally:
            self.at_once -= 1
        return {uid: (Listener(9999, own=False),) for uid in (*uids, "another")}


def waiting_for_probes(namespace="well"):
    pod = Starting(namespace, since=-DIAGNOSE_AFTER_S)
    pod.tallies["uid"] = Tally()
    pod.tallies["uid"].add("connection to port 8080: refused")
    return pod


@pytest.mark.parametrize(
    ("namespace", "node", "told"),
    [
        ("well", Node(), " (its programs listen on port 9999)"),
        ("well", Node(hangs=True), ""),
        ("well", Freezer(), ""),
        ("a", Node(), ""),
    ],
    ids=["told", "hangs", "no agent", "it does not run"],
)
async def test_what_runs_and_does_not_answer_is_told_with_where_it_listens(
    autojump_clock, namespace, node, told
):
    pod = waiting_for_probes(namespace)
    watch = ReplicaWatch(SimpleNamespace(cluster=Cluster(), freezer=node), None, None, None)
    with trio.fail_after(LISTENING_LIMIT_S + 1):
        await watch.diagnose_waking([pod])
    assert str(pod.tallies["uid"]) == f"connection to port 8080: refused, 1 times{told}"


@pytest.mark.parametrize("hangs", [False, True])
async def test_many_that_wake_ask_the_nodes_by_turns_and_no_longer_than_one_may(autojump_clock, hangs):
    waking, node = [waiting_for_probes() for _ in range(10 * LISTENED_AT_ONCE)], Node(hangs=hangs)
    watch = ReplicaWatch(SimpleNamespace(cluster=Cluster(), freezer=node), None, None, None)
    with trio.fail_after(LISTENING_LIMIT_S + 1):
        await watch.diagnose_waking(waking)
    assert node.most == LISTENED_AT_ONCE
    assert all(pod.tallies["uid"].listening for pod in waking) is not hangs
