# SPDX-License-Identifier: Apache-2.0
"""The quota holds whatever the scaler may ask for."""

from hypothesis import given

from tests.provider.cluster.strategies import a_life_with_an_init_container, by_kind, lives
from trustedpods.provider.cluster.objects import sizes


@given(lives())
def test_the_quota_holds_the_surge_and_every_successor(life):
    (quota,) = by_kind(life, "ResourceQuota")
    hard, size, most = quota["spec"]["hard"], life.manifest.replica_size, life.manifest.spec.scale.max
    for side in ("requests", "limits"):
        assert sizes.milli(hard[f"{side}.cpu"]) >= (most + 1) * size.cpu_milli
        assert sizes.mebibytes(hard[f"{side}.memory"]) >= (most + 1) * size.memory_mib
    assert int(hard["pods"]) > most
    assert sizes.mebibytes(hard["requests.storage"]) == life.manifest.volume_mib


def test_init_containers_count_in_the_quota():
    (quota,) = by_kind(a_life_with_an_init_container(), "ResourceQuota")
    assert sizes.milli(quota["spec"]["hard"]["requests.cpu"]) == 1000 * int(quota["spec"]["hard"]["pods"])
