# SPDX-License-Identifier: Apache-2.0
"""Two pods of one publisher that come at once are counted together; another publisher's are not."""

from dataclasses import dataclass, field

import pytest

from tests.fakes.provider.records import OWNER, PUBLISHER, pod_record
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import PodRef, address_from_bytes
from trustedpods.protocol.messages.admission import AdmitBody
from trustedpods.provider.core.quotas.publisher_quota import PublisherQuota
from trustedpods.provider.pods.publisher_shares import PublisherShares

OTHER = address_from_bytes(b"\x09" * 20)


@dataclass
class Standing:
    """Records, as `Pods` has them."""

    standing: list = field(default_factory=list)


def ref(number, publisher=PUBLISHER):
    return PodRef(OWNER, publisher, bytes([number]) * 32)


def ask(cpu_milli=100, max_replicas=2):
    return AdmitBody(
        cpu_milli=cpu_milli, memory_mib=64, storage_mib=0, image_mib=1, scratch_mib=1,
        max_replicas=max_replicas, services={}, hosts=[], volumes=[], names=False,
    )  # fmt: skip


def test_what_stands_counts_by_its_record_and_its_own_update_does_not():
    pods = Standing([pod_record(ref=ref(1)), pod_record(ref=ref(2))])  # 100m and two replicas each
    shares = PublisherShares(pods, PublisherQuota(pods=2, cpu_milli=400))
    shares.check(ask(), PUBLISHER, ref(1).channel)
    with pytest.raises(Refused, match="may take 2 pods here"):
        shares.check(ask(), PUBLISHER, ref(3).channel)
    with pytest.raises(Refused, match="400 m of CPU"):
        shares.check(ask(max_replicas=3), PUBLISHER, ref(1).channel)
    shares.check(ask(), OTHER, ref(3, OTHER).channel)


def test_a_bound_that_came_later_refuses_only_what_grows():
    shares = PublisherShares(Standing([pod_record(ref=ref(1))]), PublisherQuota(cpu_milli=50))
    shares.check(ask(), PUBLISHER, ref(1).channel)
    with pytest.raises(Refused):
        shares.check(ask(cpu_milli=101), PUBLISHER, ref(1).channel)


def test_pods_that_come_at_once_are_counted_together():
    shares = PublisherShares(Standing(), PublisherQuota(pods=1))
    with shares.hold(ask(), PUBLISHER, ref(1).channel):
        with pytest.raises(Refused), shares.hold(ask(), PUBLISHER, ref(2).channel):
            pytest.fail("two were taken in")
        with shares.hold(ask(), OTHER, ref(2, OTHER).channel):
            pass
    with shares.hold(ask(), PUBLISHER, ref(2).channel):
        pass
