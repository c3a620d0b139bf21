# SPDX-License-Identifier: Apache-2.0
"""Manifests with one trait each: accepted, or refused in one line that names field and remedy."""

from pathlib import Path

import pytest

from tests.manifests.cases import CASES
from trustedpods.manifests.parse import load, parse_received
from trustedpods.protocol.errors import BadInput


@pytest.mark.parametrize("name", CASES)
def test_a_trait(tmp_path: Path, name: str) -> None:
    text, words = CASES[name]
    path = tmp_path / "pod.yaml"
    path.write_bytes(text.encode())
    if words is None:
        manifest = load(path).manifest
        assert parse_received(manifest.model_dump_json(by_alias=True).encode()) == manifest
        return
    with pytest.raises(BadInput) as refused:
        load(path)
    assert words in refused.value.what
    assert (refused.value.where or "").startswith(f"{path}:")
    assert len(refused.value.what.splitlines()) == 1


def test_no_case_hides_another() -> None:
    texts = [text for text, _ in CASES.values()]
    assert len(set(texts)) == len(texts)
