# SPDX-License-Identifier: Apache-2.0
"""What the doctor of a daemon without a market finds, and that its probe leaves nothing behind."""

import json

import pytest
from click.testing import CliRunner

from tests.fakes.chain.chain import FakeChain
from tests.fakes.cluster import FakeCluster
from tests.provider.documents_world import documents_config
from tests.provider.test_without_market import GOOD
from trustedpods.protocol.errors import ExitCode, NetworkFailure
from trustedpods.provider.admin.documents_doctor import written_and_removed
from trustedpods.provider.cli import main


async def test_the_probe_writes_and_removes(tmp_path):
    cluster, config = FakeCluster(), documents_config(tmp_path, FakeChain().market)
    assert "can be written" in await written_and_removed(cluster, config)
    assert (cluster.networks, cluster.network_leases) == ({}, {})
    assert any(call.startswith("write network network-doctor-") for call in cluster.calls)
    assert "networks with a lease" in cluster.calls, "the right to list them is tried too"
    cluster.network_faults = ["busy"]
    with pytest.raises(NetworkFailure):
        await written_and_removed(cluster, config)


def test_each_part_has_a_line(tmp_path):
    path = tmp_path / "documents.toml"
    path.write_text(GOOD.replace("/var/lib/tp", str(tmp_path)))
    ran = CliRunner().invoke(main, ["doctor", "--no-market", "-c", str(path), "-o", "json"])
    assert ran.exit_code == ExitCode.NO_CONTEXT, ran.output
    found = {one["part"]: one for one in json.loads(ran.stdout)}
    assert {part: one["state"] for part, one in found.items()} == {
        "keys": "ok",
        "tee": "ok",
        "cluster": "missing",
        "rights": "missing",
    }
    assert "peer 12D3Koo" in found["keys"]["text"]
