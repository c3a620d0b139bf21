# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from tests.manifests.sound import SOUND, changed
from trustedpods.manifests.parse import parse_received
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.users import named_users
from trustedpods.protocol.errors import BadInput


@pytest.mark.parametrize("field", ["containers", "initContainers"])
def test_a_provider_takes_no_name_for_a_user(field):
    tree = changed(f"spec.{field}.0.securityContext", {"runAsUser": "app"})
    at = ("spec", field, 0, "securityContext", "runAsUser")
    assert [one.location for one in named_users(PodManifest.model_validate(tree))] == [at]
    with pytest.raises(BadInput, match="'app' is a name, which its sender looks up"):
        parse_received(json.dumps(tree).encode())


def test_numbers_and_the_image_s_own_user_pass():
    assert not list(named_users(PodManifest.model_validate(SOUND)))
    numbered = changed("spec.containers.0.securityContext", {"runAsUser": 10001})
    assert not list(named_users(PodManifest.model_validate(numbered)))
