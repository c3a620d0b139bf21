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
