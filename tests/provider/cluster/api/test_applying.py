# SPDX-License-Identifier: Apache-2.0
"""Which objects of a pod are applied at once, and that one failure is told as itself."""

import json
from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.provider.pods import a_life
from trustedpods.protocol.errors import Refused
from trustedpods.provider.cluster.api.errors import QUOTA_UNKNOWN_WORDS, QuotaUnknown, from_answer
from trustedpods.provider.cluster.applying import (
    ONE_AFTER_ANOTHER,
    QUOTA_WITHIN_S,
    SIDE_BY_SIDE,
    apply_all,
    turns,
)
from trustedpods.provider.cluster.objects.pod_objects import objects

KINDS = ("Namespace", "ResourceQuota", "Secret", "Service", "Deployment", "StatefulSet", "NetworkPolicy")


def an_object(kind, name="one"):
    return {"kind": kind, "metadata": {"name": name, "namespace": "pod"}}


@given(st.lists(st.sampled_from(KINDS)))
def test_order_is_kept_and_nobody_passes_what_others_wait_for(kinds):
    wanted = [an_object(kind, str(number)) for number, kind in enumerate(kinds)]
    groups = turns(wanted)
    assert [one for group in groups for one in group] == wanted
    for group in groups:
        assert len(group) == 1 or not {one["kind"] for one in group} & set(ONE_AFTER_ANOTHER)
    for before, after in pairwise(groups):
        assert {before[-1]["kind"], after[0]["kind"]} & set(ONE_AFTER_ANOTHER)  # else they were one group


def test_a_pods_namespace_quota_and_workload_stand_alone():
    made = objects(a_life())
    kinds = [[one["kind"] for one in group] for group in turns(made)]
    assert kinds[:2] == [["Namespace"], ["ResourceQuota"]]
    assert ["Deployment"] in kinds
    assert {"NetworkPolicy", "ServiceAccount"} <= set(kinds[2])


class Server:
    """Takes objects, each for a moment; refuses those of *refused*."""

    def __init__(self, refused=(), counted_after_s=0.0):
        self.refused, self.now, self.most, self.ended = refused, 0, 0, []
        self.counted_at = trio.current_time() + counted_after_s

    async def apply(self, path, wanted, manager):
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await trio.sleep(0.1)
        finally:
            self.now -= 1
        if wanted["kind"] == "PersistentVolumeClaim" and trio.current_time() < self.counted_at:
            words = f'claims "data" is forbidden: {QUOTA_UNKNOWN_WORDS}: size, resources: claims'
            body = {"kind": "Status", "message": words, "reason": "Forbidden"}
            raise from_answer(403, json.dumps(body).encode(), path)
        if wanted["metadata"]["name"] in self.refused:
            raise Refused(f"no {wanted['metadata']['name']}", where=path)
        self.ended.append(wanted["metadata"]["name"])
        return wanted


async def test_as_many_at_once_as_connections_are_kept(virtual_time):
    server = Server()
    names = [str(number) for number in range(3 * SIDE_BY_SIDE)]
    await apply_all(server, [an_object("Secret", name) for name in names])
    assert server.most == SIDE_BY_SIDE
    assert sorted(server.ended) == sorted(names)


async def test_what_comes_behind_a_refusal_is_not_begun(virtual_time):
    server = Server(refused=("quota",))
    wanted = [an_object("Namespace", "n"), an_object("ResourceQuota", "quota"), an_object("Secret", "s")]
    with pytest.raises(Refused, match="no quota"):
        await apply_all(server, wanted)
    assert server.ended == ["n"]


async def test_of_two_refusals_one_is_told_and_no_group_of_them(virtual_time):
    with pytest.raises(Refused, match=r"no [ab]"):
        await apply_all(Server(refused=("a", "b")), [an_object("Secret", name) for name in "abc"])


async def test_a_quota_that_nobody_has_counted_yet_is_waited_for(virtual_time):
    server = Server(counted_after_s=3.0)
    await apply_all(server, [an_object("ResourceQuota", "quota"), an_object("PersistentVolumeClaim", "data")])
    assert server.ended == ["quota", "data"]


async def test_a_quota_that_is_never_counted_is_told(virtual_time):
    began = trio.current_time()
    with pytest.raises(QuotaUnknown, match="status unknown for quota: size"):
        await apply_all(Server(counted_after_s=3600), [an_object("PersistentVolumeClaim", "data")])
    assert trio.current_time() - began >= QUOTA_WITHIN_S
