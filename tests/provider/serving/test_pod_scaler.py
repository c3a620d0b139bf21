# SPDX-License-Identifier: Apache-2.0
"""The order in which a pod's commands run, when some fail and newer ones come."""

import pytest
import trio

from tests.fakes.cluster import FakeCluster
from tests.fakes.facade import FakeFacade
from tests.fakes.provider.claims import FakeLife
from trustedpods.manifests.spec.service import ServiceLimits
from trustedpods.protocol.ids import ChannelId
from trustedpods.provider.core.scaler.types import Limits, Serve, SetReplicas
from trustedpods.provider.core.traffic import PodAddress
from trustedpods.provider.exposure.http import HttpExposure
from trustedpods.provider.serving.pod_scaler import PodScaler, PublishedPod

POD = PodAddress("pod-a", "10.0.0.1", 8080)


SERVICE = HttpExposure("web", "http", "pabc.web", "http", 8080, 80, ServiceLimits(), ("pabc.test",))
PUBLISHED = PublishedPod(ChannelId(1), "pabc", "tp-pabc-1", {0: SERVICE}, ())


@pytest.fixture
async def pod_scaler() -> PodScaler:
    return PodScaler(None, None, PUBLISHED, Limits(), 0)


async def test_a_newer_command_takes_the_place_of_an_older_one(pod_scaler: PodScaler) -> None:
    for command in (Serve((POD,)), SetReplicas(0), Serve()):
        pod_scaler._queue(command)
    assert pod_scaler._commands == [Serve(), SetReplicas(0)]


async def test_a_failed_command_runs_again_before_those_behind_it(pod_scaler: PodScaler) -> None:
    pod_scaler._queue(SetReplicas(0))
    pod_scaler._put_back(Serve((POD,)))
    assert pod_scaler._commands == [Serve((POD,)), SetReplicas(0)]


async def test_a_failed_command_gives_way_to_a_newer_one_of_its_kind(pod_scaler: PodScaler) -> None:
    pod_scaler._queue(SetReplicas(0))
    pod_scaler._queue(Serve())
    pod_scaler._put_back(Serve((POD,)))
    assert pod_scaler._commands == [Serve(), SetReplicas(0)]


async def test_a_number_of_another_hand_is_looked_at_once_more() -> None:
    life = FakeLife(PUBLISHED.namespace, "pabc", 0, wanted=3)
    pod_scaler = PodScaler(FakeCluster(lives={life.name: life}), FakeFacade(), PUBLISHED, Limits(max=3), 1)
    assert not await pod_scaler._is_settled(trio.CancelScope())
    assert (pod_scaler.state.replicas, pod_scaler.state.settled) == (3, False)
    assert await pod_scaler._is_settled(trio.CancelScope())
    assert pod_scaler.state.settled
