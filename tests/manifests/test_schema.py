# SPDX-License-Identifier: Apache-2.0
import pytest

from trustedpods.manifests.schema import MODELS, schema


def test_the_schema_names_fields_as_in_files_and_allows_no_others() -> None:
    definitions = schema()["$defs"]
    assert "volumeMounts" in definitions["Container"]["properties"]
    assert definitions["Container"]["additionalProperties"] is False


def test_networks_have_one_too() -> None:
    assert schema("Network")["$defs"]["NetworkNode"]["required"] == ["name"]


@pytest.mark.parametrize("kind", MODELS)
def test_a_schema_has_a_name_of_its_own_with_the_version_of_manifests(kind: str) -> None:
    assert schema(kind)["$id"] == f"urn:trustedpods:v1:{kind}"
    assert schema(kind)["properties"]["apiVersion"]["const"].endswith("/v1")
