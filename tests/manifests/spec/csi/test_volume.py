# SPDX-License-Identifier: Apache-2.0
"""A volume that a driver mounts: whose store it is, and what only the provider may tell the driver."""

import pytest
from pydantic import ValidationError

from tests.fakes.provider.pods import a_manifest
from trustedpods.manifests.spec.csi.volume import SECRETS_STORE, CsiVolume

CLASS = {"provider": "vault", "parameters": {"objects": "a"}}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"driver": "d"}, "store"),
        ({"driver": "d", "store": "mine"}, "store"),
        ({"driver": "a b", "store": "publisher"}, "a driver's name"),
        ({"driver": SECRETS_STORE, "store": "publisher"}, "needs secretProviderClass"),
        ({"driver": "d", "store": "publisher", "secretProviderClass": CLASS}, "is for driver"),
        ({"driver": "d", "store": "publisher", "readOnly": False}, "readOnly"),
        (
            {"driver": "d", "store": "publisher", "volumeAttributes": {"secretProviderClass": "x"}},
            "written by the provider",
        ),
        (
            {"driver": "d", "store": "publisher", "volumeAttributes": {"csi.storage.k8s.io/ephemeral": "x"}},
            "written by the provider",
        ),
    ],
)
def test_what_cannot_be(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        CsiVolume.model_validate(given)


def test_a_manifest_names_each_driver_once() -> None:
    store = {"driver": SECRETS_STORE, "store": "publisher", "secretProviderClass": CLASS}
    plain = {"driver": "csi.example.org", "store": "publisher"}
    volumes = [{"name": name, "csi": csi} for name, csi in (("a", store), ("b", plain), ("c", store))]
    assert a_manifest(volumes=volumes).csi_drivers == [SECRETS_STORE, "csi.example.org"]
    assert a_manifest().csi_drivers == []
