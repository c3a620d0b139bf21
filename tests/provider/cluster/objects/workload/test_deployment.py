# SPDX-License-Identifier: Apache-2.0
"""What runs a pod's replicas, and how a new version takes over."""

from hypothesis import given

from tests.fakes.provider.pods import a_life, a_manifest
from tests.provider.cluster.strategies import lives, the_deployment


@given(lives())
def test_the_scaler_owns_the_replicas(life):
    assert "replicas" not in the_deployment(life)["spec"]


def test_two_versions_never_write_one_volume():
    volumes = [{"name": "data", "persistent": {"size": "1Gi"}}]
    life = a_life(a_manifest(volumes=volumes))
    assert the_deployment(life)["spec"]["strategy"] == {"type": "Recreate"}
    assert the_deployment(a_life())["spec"]["strategy"]["type"] == "RollingUpdate"


def test_a_fixed_number_is_replaced_as_its_manifest_says():
    said = a_life(a_manifest(workload="replicated", replicas=2, strategy="Recreate"))
    assert the_deployment(said)["spec"]["strategy"] == {"type": "Recreate"}
    assert said.manifest.stops_for_update
    unsaid = a_life(a_manifest(workload="replicated", replicas=2))
    assert the_deployment(unsaid)["spec"]["strategy"]["type"] == "RollingUpdate"
    assert not unsaid.manifest.stops_for_update
