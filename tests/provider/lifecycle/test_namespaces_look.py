# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
import trio

from tests.fakes.provider.records import pod_record
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.cluster.views import NamespaceView
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.core.reconcile import Read
from trustedpods.provider.lifecycle.namespaces_look import NAMESPACES_EVERY_S, NamespacesLook

NOW = 1_000_000


@dataclass
class Cluster:
    """Lists namespaces, or does not answer."""

    spaces: list[NamespaceView] = field(default_factory=list)
    away: bool = False
    asked: int = 0

    async def namespaces(self):
        self.asked += 1
        if self.away:
            raise NetworkFailure("no answer")
        return self.spaces


def space(name, label, deleting=False):
    return NamespaceView(name, label, deleting, NOW - 120)


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def look(cluster):
    return NamespacesLook(SimpleNamespace(cluster=cluster, now=lambda: NOW))


def record_of(**changes):
    record = pod_record(phase=Phase.SERVING, changed_at=NOW - 60)
    return replace(record, **changes)


async def test_could_not_read_never_means_gone(look, cluster, autojump_clock):
    record = record_of()
    assert look.read(record) is Read.UNKNOWN
    cluster.spaces = [space(record.namespace, record.label)]
    await look.refresh()
    assert look.read(record) is Read.PRESENT
    cluster.spaces = []
    await pass_time()
    await look.refresh()
    assert look.read(record) is Read.ABSENT
    assert look.read(replace(record, changed_at=NOW)) is Read.UNKNOWN
    cluster.away = True
    await pass_time()
    await look.refresh()
    assert look.read(record) is Read.UNKNOWN
    assert look.take_strays(record) == []


async def test_strays_are_told_once_and_never_of_a_pod_that_is_being_changed(look, cluster, autojump_clock):
    record = record_of(other="tp-newer")
    names = [record.namespace, "tp-newer", "tp-b", "tp-a"]
    cluster.spaces = [space(name, record.label) for name in names]
    cluster.spaces.append(space("tp-ends", record.label, deleting=True))
    cluster.spaces.append(space("tp-else", "another"))
    await look.refresh()
    assert look.take_strays(replace(record, phase=Phase.STARTING)) == []
    assert look.take_strays(record) == ["tp-a", "tp-b"]
    assert look.take_strays(record) == []
    assert look.read(record) is Read.PRESENT


async def test_one_list_serves_many_looks(look, cluster, autojump_clock):
    for _ in range(5):
        await look.refresh()
    assert cluster.asked == 1
    await pass_time()
    await look.refresh()
    assert cluster.asked == 2


async def pass_time():
    await trio.sleep(NAMESPACES_EVERY_S)


async def test_changes_are_counted_and_the_same_list_again_is_none(look, cluster, autojump_clock):
    record = record_of()
    seen = []
    mine = space(record.namespace, record.label)
    for spaces, away in (([mine], False), ([mine], False), ([mine], True), ([mine], False), ([], False)):
        cluster.spaces, cluster.away = spaces, away
        await pass_time()
        await look.refresh()
        seen.append(look.changes)
    assert seen == [1, 1, 2, 3, 4]


async def test_a_stray_that_was_told_is_a_change_while_it_is_there(look, cluster, autojump_clock):
    record = record_of()
    cluster.spaces = [space(record.namespace, record.label), space("tp-stray", record.label)]
    await look.refresh()
    assert look.take_strays(record) == ["tp-stray"]
    before = look.changes
    await pass_time()
    await look.refresh()
    assert look.changes == before + 1
