# SPDX-License-Identifier: Apache-2.0
"""A tunnel as it should be; what is wrong with others has its examples in `wrong_nodes.py`."""

from copy import deepcopy

import pytest

from tests.manifests.check.wrong_nodes import NODES
from trustedpods.manifests.check.tunnels import tunnel_problems
from trustedpods.manifests.spec.pod import PodManifest


@pytest.mark.parametrize("expose", ["nodePort", "udp", "loadBalancer"])
def test_a_sound_tunnel(expose: str) -> None:
    tree = deepcopy(NODES["tunnel that opens a port twice"].tree)
    tree["spec"]["services"][-1]["expose"] = expose
    tunnel = tree["spec"]["network"]["tunnel"]
    tunnel["opens"] = tunnel["opens"][:2]
    assert list(tunnel_problems(PodManifest.model_validate(tree))) == []
