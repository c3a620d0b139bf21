# SPDX-License-Identifier: Apache-2.0
from trustedpods.manifests.schema import schema


def test_the_schema_names_fields_as_in_files_and_allows_no_others() -> None:
    definitions = schema()["$defs"]
    assert "volumeMounts" in definitions["Container"]["properties"]
    assert definitions["Container"]["additionalProperties"] is False


def test_networks_have_one_too() -> None:
    assert schema("Network")["$defs"]["NetworkNode"]["required"] == ["name"]
