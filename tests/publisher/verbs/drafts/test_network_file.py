# SPDX-License-Identifier: Apache-2.0
"""`network init`: a first file that validates, and nothing written over what is there without a word."""

import json
from pathlib import Path

import pytest

from tests.fakes.images.oci_images import ImageFiles
from tests.publisher.test_cli import cli
from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.verbs.drafts.network_file import PROFILES, init_network

__all__ = ["cli"]


def state(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", PROFILES)
def test_what_is_written_is_whole_and_its_owners_alone(tmp_path, kind):
    done = init_network(kind, 3, tmp_path)
    assert done.file == str(tmp_path / f"{kind}-3.yaml")
    assert set(done.written) == {done.file, str(tmp_path / f"{kind}-3")}
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{kind}-3", f"{kind}-3.yaml"]
    keys = list((tmp_path / f"{kind}-3").iterdir())
    assert keys
    assert all(path.stat().st_mode & 0o77 == 0 for path in (*keys, tmp_path / f"{kind}-3"))


def test_what_is_there_stays_without_a_word(tmp_path):
    init_network("clique", 2, tmp_path, "shop")
    before = state(tmp_path)
    with pytest.raises(BadInput, match="already") as caught:
        init_network("clique", 2, tmp_path, "shop")
    assert "--overwrite" in caught.value.hint
    kept = init_network("clique", 2, tmp_path, "shop", "keep")
    assert (kept.written, len(kept.kept), state(tmp_path)) == ((), 2, before)
    (tmp_path / "shop.yaml").unlink()
    with pytest.raises(BadInput, match="folder already"):
        init_network("clique", 2, tmp_path, "shop")
    assert init_network("clique", 2, tmp_path, "shop", "keep").written == (str(tmp_path / "shop.yaml"),)
    assert state(tmp_path) == before
    init_network("clique", 2, tmp_path, "shop", "overwrite")
    after = state(tmp_path)
    assert after.keys() == before.keys()
    assert after[Path("shop/genesis.json")] != before[Path("shop/genesis.json")]


@pytest.mark.parametrize(
    ("kind", "nodes", "name", "said"),
    [
        ("besu", 3, None, "there is: clique, cometbft"),
        ("clique", 0, None, "1 to 63"),
        ("clique", 64, None, "1 to 63"),
        ("clique", 3, "No!", "name"),
        ("clique", 3, "../up", "name"),
    ],
)
def test_what_cannot_be_made_leaves_nothing(tmp_path, kind, nodes, name, said):
    with pytest.raises(BadInput) as caught:
        init_network(kind, nodes, tmp_path, name)
    assert said in f"{caught.value} {caught.value.hint}"
    assert list(tmp_path.iterdir()) == []


async def test_the_command_writes_what_validate_takes(cli, bench, monkeypatch):
    monkeypatch.chdir(bench.folder)
    for image in PROFILES["clique"].images:
        ImageFiles().write_archive(bench.folder / f"{image}.tar")
    done = await cli("network", "init", "--kind", "clique", "--nodes", "3", "-o", "json")
    said = json.loads(done.stdout)
    assert (said["network"], said["images"], said["kept"]) == ("clique-3", ["geth", "height"], [])
    checked = await cli("validate", "clique-3.yaml", "-o", "json")
    assert checked.exit_code == 0, checked.output
    assert list(json.loads(checked.stdout)["nodes"]) == ["boot", "node-1", "node-2", "node-3", "web"]
    again = await cli("network", "init", "--kind", "clique")
    assert (again.exit_code, "--keep" in again.stderr) == (2, True)
    assert (await cli("network", "init", "--kind", "clique", "--keep", "--overwrite")).exit_code == 2
