# SPDX-License-Identifier: Apache-2.0
"""A pod from a name in a real registry: the digest that the provider signs is what its tag meant."""

from pathlib import Path

import pytest

from tests.live.clients import web
from tests.live.clients.publisher import Json, Publisher
from tests.live.clients.registry import distribution_registry, push
from tests.live.conftest import unique
from trustedpods.localnet.cluster import binaries
from trustedpods.publisher.images.source import open_image

pytestmark = pytest.mark.live


def test_a_pod_from_a_registry_runs_and_is_what_was_resolved(
    publisher: Publisher, tmp_path: Path, free_tcp_port: int
) -> None:
    with distribution_registry(tmp_path, free_tcp_port) as host:
        archive = f"oci-archive:{binaries.image('hello')}"
        push(archive, f"{host}/team/hello:1")
        pushed = open_image(archive, tmp_path, tmp_path / "cache").digest

        def change(spec: Json) -> None:
            spec["containers"][0]["image"] = f"{host}/team/hello:1"

        deployed = publisher.deploy(publisher.manifest("hello", unique("pulled"), change))
        assert set(deployed.result["images"].values()) == {pushed}
        assert web.get(deployed.url).status == 200
        log = (tmp_path / "registry.log").read_text()
        again = publisher.run("deploy", deployed.file.name, "--dry-run").json
        assert again["effect"] == "unchanged"
        assert "/blobs/" not in (tmp_path / "registry.log").read_text()[len(log) :]
