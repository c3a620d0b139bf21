# SPDX-License-Identifier: Apache-2.0
"""What every replica may do, and what it may not."""

from hypothesis import given

from tests.provider.cluster.strategies import a_life_with_an_init_container, lives, the_deployment
from trustedpods.provider.cluster.objects.names import METERED


@given(lives())
def test_pods_are_restricted_and_metered(life):
    template = the_deployment(life)["spec"]["template"]
    spec = template["spec"]
    assert template["metadata"]["finalizers"] == [METERED]
    assert template["metadata"]["labels"] == the_deployment(life)["spec"]["selector"]["matchLabels"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["terminationGracePeriodSeconds"] <= 60
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    for container in spec["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert set(container["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}
        assert "@sha256:" in container["image"]
        assert not [key for key in container if key.endswith("Probe")]


def test_init_containers_run_first():
    spec = the_deployment(a_life_with_an_init_container())["spec"]["template"]["spec"]
    assert [one["name"] for one in spec["initContainers"]] == ["first"]
    assert spec["initContainers"][0]["securityContext"] == spec["containers"][0]["securityContext"]
