# SPDX-License-Identifier: Apache-2.0
"""A pod with a volume that runs, and a place for its backups."""

import pytest

from tests.publisher.backups.volumes import Volumes


@pytest.fixture
def place(tmp_path):
    return tmp_path / "place"


@pytest.fixture
async def served(bench, tmp_path):
    """The pod of the bench runs, with a volume at /data."""
    text = (bench.folder / "pod.yaml").read_text()
    text = text.replace("volumeMounts: [", "volumeMounts: [{name: data, mountPath: /data}, ")
    text = text.replace("  volumes:\n", "  volumes:\n    - {name: data, persistent: {size: 1Gi}}\n")
    (bench.folder / "pod.yaml").write_text(text)
    volumes = Volumes(tmp_path / "running", tmp_path / "filled")
    (volumes.running / "small").write_text("small")
    peer = bench.peer()
    peer.programs = volumes.programs
    async with peer.serve():
        await bench.deploy()
        yield peer
