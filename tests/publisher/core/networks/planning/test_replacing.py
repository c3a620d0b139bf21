# SPDX-License-Identifier: Apache-2.0
"""Which nodes were lost, by whose word, and what they begin with."""

import pytest

from tests.fakes.network_states import ALICE
from tests.fakes.provider.pods import a_manifest
from tests.publisher.core.networks.test_plan import content, founded, node
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.networks.content import LostCluster
from trustedpods.publisher.core.networks.plan import only, plan_of
from trustedpods.publisher.core.networks.planning.replacing import (
    ChosenBackup,
    beginning,
    check_agreed,
    check_may_come_anew,
    lacking,
    lost_nodes,
    waiting_volumes,
)

LAKE = LostCluster(at=1, by=bytes(20), reason="a lake")
OTHER = {"name": "other", "persistent": {"size": "1Gi"}}
SEEDED = {"name": "data", "persistent": {"size": "1Gi"}, "seed": {"backup": True}}
SIGNED = {"name": "signing", "persistent": {"size": "16Mi", "neverRestore": True}}
AT_NOON = 1_700_049_600


def lost(state, *clusters):
    marked = [
        one.model_copy(update={"lost": LAKE}) if one.name in clusters else one for one in state.clusters
    ]
    return state.model_copy(update={"clusters": marked})


def found(state, *nodes):
    return lost_nodes(plan_of(state, founded(), nodes, None, ALICE.address), state)


def pod(*volumes, **more):
    mounts = [{"name": one["name"], "mountPath": f"/{one['name']}"} for one in volumes]
    container = {"name": "c", "image": "oci-archive:x.tar", "volumeMounts": mounts}
    return a_manifest(containers=[container], volumes=list(volumes), **more)


def a_backup(*volumes):
    return ChosenBackup("/place", "20231115T120000Z-00000000", AT_NOON, frozenset(volumes))


def one_lost():
    (one,) = found(lost(content(node("a")), "k1"), node("a", "k2"))
    return one


def test_only_nodes_of_a_cluster_that_was_declared_lost_are_lost():
    there = content(node("a"), node("b"), node("c", "k2"))
    moved = [node("a", "k2"), node("c", "k2"), node("new", "k2")]
    assert found(there, *moved) == (), "a node that moves for another reason is not lost"
    told = [(one.node, one.lost, one.reason, one.cluster) for one in found(lost(there, "k1"), *moved)]
    assert told == [("a", "k1", "a lake", "k2")], "b is removed, c stays, and the new one was nowhere"


def test_an_apply_of_other_nodes_alone_asks_no_word():
    state = lost(content(node("a"), node("c", "k2")), "k1")
    plan = plan_of(state, founded(), [node("a", "k2"), node("c", "k2", b"9" * 32)], None, ALICE.address)
    assert lost_nodes(only(plan, {"c"}), state) == ()


def test_without_the_word_nothing_is_made_anew_and_the_error_names_node_and_cluster():
    check_agreed([], replace=False)
    check_agreed([one_lost()], replace=True)
    with pytest.raises(Refused, match=r"a \(cluster k1 was declared lost\)") as caught:
        check_agreed([one_lost()], replace=False)
    assert (caught.value.rule, caught.value.where) == ("lost-nodes", "node a")
    assert "--replace-lost" in caught.value.hint


def test_a_node_whose_files_must_not_go_back_in_time_never_comes_anew():
    check_may_come_anew([one_lost()], {"a": pod(SEEDED)})
    with pytest.raises(Refused, match="volume signing must not go back in time") as caught:
        check_may_come_anew([one_lost()], {"a": pod(SEEDED, SIGNED)})
    assert (caught.value.rule, caught.value.where) == ("no-restore", "node a")
    assert "another name and another key" in caught.value.hint


def test_what_waits_is_each_volume_of_each_replica_that_says_so():
    assert waiting_volumes(pod(OTHER)) == frozenset()
    assert waiting_volumes(pod(SEEDED, OTHER)) == {("data", None)}
    replicas = pod(SEEDED, workload="stateful", replicas=2)
    assert waiting_volumes(replicas) == {("data", 0), ("data", 1)}
    assert "has no volume data of replica 1" in lacking(replicas, a_backup(("data", 0)))
    assert lacking(replicas, a_backup(("data", 0), ("data", 1), ("more", 0))) == ""


@pytest.mark.parametrize(
    ("manifest", "backup", "told"),
    [
        (pod(SEEDED), a_backup(("data", None)), "from backup of 2023-11-15 12:00:00Z; "),
        (pod(OTHER), None, "empty; "),
        (pod(OTHER), a_backup(("gone", None)), "empty; "),
        (
            pod(OTHER),
            a_backup(("other", None)),
            "not done: backup of 2023-11-15 12:00:00Z has volume other, ",
        ),
        (
            pod(SEEDED, OTHER),
            a_backup(("data", None), ("other", None)),
            "not done: backup of 2023-11-15 12:00:00Z has volume other, ",
        ),
        (pod(), None, "empty; "),
        (pod(SEEDED), None, "not done: it waits for a backup, and none is known; "),
        (pod(SEEDED), a_backup(("older", None)), "not done: it waits for a backup, and backup "),
        (pod(SIGNED), None, "not done: volume signing must not go back in time: "),
    ],
)
def test_a_plan_says_what_a_lost_node_begins_with(manifest, backup, told):
    said = beginning(one_lost(), manifest, backup)
    assert said.startswith(told)
    assert said.endswith("; cluster k1 was declared lost")
