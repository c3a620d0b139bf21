# SPDX-License-Identifier: Apache-2.0
"""Calls by which a replica asks for less CPU, or all of it again: noted first, repeated without harm."""

from copy import deepcopy
from dataclasses import dataclass, field

import pytest

from tests.provider.cluster.objects.workload.test_awake_cpu import container, patched, pod
from trustedpods.provider.cluster.api.errors import NotThere
from trustedpods.provider.cluster.freezer.sleepers_cpu import SleepersCpu
from trustedpods.provider.cluster.objects.names import AWAKE_CPU
from trustedpods.provider.cluster.objects.workload import awake_cpu

PATH = "/api/v1/namespaces/n/pods/p"


@dataclass
class OnePod:
    """An API server that holds one Pod, and carries out what is asked of it."""

    held: dict | None = field(default_factory=lambda: pod(container("c", 100), container("d", 50)))
    changes_in_place: bool = True
    ends_at: str = ""
    """The call before which somebody ends the Pod."""
    calls: list[str] = field(default_factory=list)

    def _called(self, call: str) -> None:
        self.calls.append(call)
        if self.ends_at == call:
            self.held = None

    async def find(self, path):
        assert path == PATH
        self._called("find")
        return deepcopy(self.held)

    async def merge(self, path, change):
        assert path == PATH
        self._called("merge")
        if self.held is None:
            raise NotThere("gone", rule="NotFound")
        metadata = change["metadata"]
        assert metadata["uid"] == self.held["metadata"]["uid"], "the API server has a conflict otherwise"
        self.held["metadata"]["annotations"] |= metadata["annotations"]
        return deepcopy(self.held)

    async def patch(self, path, steps):
        assert path == f"{PATH}/resize"
        self._called("patch")
        if self.held is None or not self.changes_in_place:
            raise NotThere("gone", rule="NotFound")
        self.held = patched(self.held, steps)
        return deepcopy(self.held)

    def cpus(self):
        return [one["resources"]["requests"]["cpu"] for one in self.held["spec"]["containers"]]


@dataclass
class Door(SleepersCpu):
    _api: OnePod = field(default_factory=OnePod)

    async def ask(self, asleep, uid="u"):
        await self.set_asleep_cpu("n", "p", uid, asleep=asleep)


async def test_what_it_has_awake_is_noted_before_it_asks_for_less_and_all_of_that_comes_back():
    door = Door()
    await door.ask(True)
    assert door._api.calls == ["find", "merge", "patch"]
    assert door._api.cpus() == ["1m", "1m"]
    assert awake_cpu.noted(door._api.held) == {"c": 100, "d": 50}
    assert door._api.held["metadata"]["annotations"]["other"] == "x"
    await door.ask(False)
    assert door._api.cpus() == ["100m", "50m"]
    await door.ask(True)
    assert door._api.calls.count("merge") == 1, "its note stays"


@pytest.mark.parametrize("asleep", [True, False])
async def test_done_already_is_done(asleep):
    door = Door()
    await door.ask(True)
    await door.ask(asleep)
    door._api.calls.clear()
    await door.ask(asleep)
    assert door._api.calls == ["find"]


async def test_a_replica_that_never_lent_any_is_left_alone():
    door = Door()
    await door.ask(False)
    assert (door._api.calls, door._api.cpus()) == (["find"], ["100m", "50m"])
    await door.ask(True, uid="another")
    assert AWAKE_CPU not in door._api.held["metadata"]["annotations"]


@pytest.mark.parametrize("call", ["find", "merge", "patch"])
async def test_one_that_ends_meanwhile_is_no_error(call):
    door = Door(OnePod(ends_at=call))
    await door.ask(True)
    assert door._api.held is None


async def test_a_cluster_that_changes_nothing_in_place_refuses():
    with pytest.raises(NotThere):
        await Door(OnePod(changes_in_place=False)).ask(True)
