# SPDX-License-Identifier: Apache-2.0
"""What probe pods say of user ids, and what the doctor makes of it; a live doctor's test runs the pods."""

import re
from types import SimpleNamespace

import pytest

from trustedpods.localnet.cluster import files
from trustedpods.protocol.errors import NoContext
from trustedpods.provider.admission import isolation_probe
from trustedpods.provider.cluster.isolation_proof.probe_pods import START_LIMIT_S, ProbePlace
from trustedpods.provider.cluster.isolation_proof.users import OWN_WITHIN_S, SharedUsers, parse, refusal
from trustedpods.provider.core.admission import PIDS_PER_POD

IDENTITY = "         0          0 4294967295"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (f"{IDENTITY}\nunlimited\n128", SharedUsers(False, None, 128)),
        (f"{IDENTITY}\n96365\n128", SharedUsers(False, 96365, 128)),
        ("0 65536 65536\nunlimited\n8192", SharedUsers(True, None, 8192)),
        ("0 65536 1000\n1000 70000 5\n7\n1", SharedUsers(True, 7, 1)),
    ],
)
def test_what_a_probe_pod_says(said, found):
    assert parse(said) == found


@pytest.mark.parametrize(
    "said",
    ["", "unlimited", "0 0\n5\n5", f"{IDENTITY}\n-1\n5", f"{IDENTITY}\n5", f"{IDENTITY}\n5\n", "x\ny\nz"],
)
def test_what_says_nothing_is_not_taken_for_an_answer(said):
    with pytest.raises(NoContext, match="instead of its user ids"):
        parse(said)


@pytest.fixture
def told():
    """What the doctor makes of what was found."""

    async def ask(found, processes_per_user=None, user_namespaces=False):
        cluster = SimpleNamespace(processes_per_user=processes_per_user, user_namespaces=user_namespaces)
        config = SimpleNamespace(cluster=cluster)

        class Cluster:
            async def shared_users(self, _place, own_within_s=OWN_WITHIN_S):
                assert own_within_s == (START_LIMIT_S if user_namespaces else OWN_WITHIN_S)
                return found

        return await isolation_probe.users_at(config, Cluster(), ProbePlace("image", "namespace"))

    return ask


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (SharedUsers(True, None, 128), "can have user ids of their own"),
        (SharedUsers(True, 96365, 128), "can have user ids of their own"),
        (SharedUsers(False, 96365, 128), "96365 processes are enough for 94 at their bound"),
        (SharedUsers(False, None, 128), "no user namespaces: .* no limit of processes is among it"),
    ],
)
async def test_it_says_which(told, found, words):
    assert re.search(words, await told(found))


def test_the_bound_of_a_pod_is_that_of_an_embedded_cluster():
    assert PIDS_PER_POD == files.PIDS_PER_POD


async def test_a_limit_of_processes_that_pods_share_is_told_with_the_remedy(told):
    with pytest.raises(
        NoContext, match="have 2048 processes together: 2 of them at their own bound"
    ) as caught:
        await told(SharedUsers(False, 2048, 128))
    assert "LimitNPROC=infinity" in caught.value.hint


async def test_a_limit_that_is_configured_is_held_against_what_pods_are_handed(told):
    assert "no more are taken than 2048" in await told(SharedUsers(False, 2048, 128), 2048)
    with pytest.raises(NoContext, match="processes_per_user says 4096, and pods are handed a limit of 2048"):
        await told(SharedUsers(False, 2048, 128), 4096)


async def test_where_pods_are_to_have_ids_of_their_own_it_says_whether_they_have(told):
    enough = isolation_probe.LEAST_INOTIFY_INSTANCES
    holds = await told(SharedUsers(True, 2048, enough), user_namespaces=True)
    assert holds == "each pod has user ids of its own: a probe pod's were no other's"
    with pytest.raises(NoContext, match="a probe pod had none: no such runtime") as caught:
        await told(SharedUsers(False, None, enough, "no such runtime"), user_namespaces=True)
    assert "containerd >= 2.0" in caught.value.hint


NO_RUNTIME = "the handler does not support user namespaces"


def event(kind, name, message):
    about = {"kind": "Pod", "name": name}
    return {"type": kind, "reason": "FailedCreatePodSandBox", "involvedObject": about, "message": message}


@pytest.mark.parametrize(
    ("status", "events", "said"),
    [
        ({}, [], ""),
        ({"phase": "Pending"}, [event("Normal", "own", "pulled")], ""),
        ({"phase": "Pending"}, [event("Warning", "shared", NO_RUNTIME)], ""),
        ({"phase": "Pending"}, [event("Warning", "own", NO_RUNTIME)], NO_RUNTIME),
        ({"phase": "Failed", "reason": "OutOfcpu"}, [event("Warning", "own", "no room")], ""),
        ({"phase": "Failed", "reason": "Evicted"}, [], ""),
    ],
)
def test_only_what_says_that_the_pod_is_not_started_is_taken_for_no_ids_of_its_own(status, events, said):
    found = refusal({"metadata": {"name": "own"}, "status": status}, events)
    assert found.endswith(said)
    assert bool(found) is bool(said)


def test_the_kubelets_words_about_a_container_are_told():
    waiting = {"reason": "CreateContainerError", "message": "idmap mounts are not supported"}
    container = {"name": "probe", "state": {"waiting": waiting}}
    pod = {"metadata": {"name": "own"}, "status": {"phase": "Pending", "containerStatuses": [container]}}
    assert "idmap mounts" in refusal(pod, [])


async def test_a_probe_pod_that_was_only_slow_is_not_said_to_have_had_none(told):
    slow = SharedUsers(None, None, isolation_probe.LEAST_INOTIFY_INSTANCES, "it waits")
    with pytest.raises(NoContext, match="did not start in time: it waits"):
        await told(slow, user_namespaces=True)
    assert "no user namespaces" in await told(slow)


async def test_inotify_instances_that_all_pods_have_together_with_root_are_told_with_the_remedy(told):
    few = isolation_probe.LEAST_INOTIFY_INSTANCES - 1
    with pytest.raises(
        NoContext, match=f"but {few} inotify instances together with the node's root"
    ) as caught:
        await told(SharedUsers(True, None, few), user_namespaces=True)
    assert "fs.inotify.max_user_instances=1048576" in caught.value.hint
