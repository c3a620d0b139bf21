# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/verifying.md, as they stand there, on a release; and on one that was changed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.deploy.test_release import KEY, PEM, VERSION, repository, run
from tests.paths import ROOT
from tests.test_layout import tracked

CHECKSUMS, SIGNATURE, REBUILD, REQUIREMENTS = re.findall(
    r"^```sh\n(.*?)^```", (ROOT / "docs" / "verifying.md").read_text(), re.MULTILINE | re.DOTALL
)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A signed release, and the repository that it was made from."""
    folder = tmp_path_factory.mktemp("published")
    files = [path for path in tracked() if path.is_file() and not path.is_relative_to(ROOT / "tests")]
    checkout = repository(folder / "checkout", files)
    (folder / "key.pem").write_bytes(PEM)
    made = run(checkout, VERSION, RELEASE_KEY=str(folder / "key.pem"))
    assert made.returncode == 0, made.stderr
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (checkout / "dist" / "release.pub").write_bytes(public)
    return checkout


@pytest.fixture
def changed(published):
    """Change one byte of a file of the release, for one test."""
    kept: dict[Path, bytes] = {}

    def change(name: str) -> None:
        (path,) = (published / "dist").glob(name)
        kept[path] = path.read_bytes()
        middle = len(kept[path]) // 2
        path.write_bytes(kept[path][:middle] + bytes([kept[path][middle] ^ 1]) + kept[path][middle + 1 :])

    yield change
    for path, data in kept.items():
        path.write_bytes(data)


def follow(checkout: Path, commands: str) -> "subprocess.CompletedProcess[str]":
    """Run a block of the page in the release's folder, with what it leaves to the reader filled in."""
    commands = commands.replace("REPOSITORY", str(checkout)).replace("vVERSION", f"v{VERSION}")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    argv = ["sh", "-euc", commands]
    environment = {"PATH": path, "HOME": str(checkout)}
    return subprocess.run(
        argv, cwd=checkout / "dist", env=environment, capture_output=True, text=True, check=False
    )


def test_a_release_is_what_its_makers_signed(published):
    sums = follow(published, CHECKSUMS)
    assert (sums.returncode, sums.stdout.count(": OK")) == (0, 4), sums.stdout + sums.stderr
    signed = follow(published, SIGNATURE)
    assert signed.returncode == 0, signed.stdout + signed.stderr


@pytest.mark.parametrize("name", ["*.whl", "*.tar.gz", "sbom.json", "NOTES.md"])
def test_one_changed_byte_is_found(published, changed, name):
    changed(name)
    assert follow(published, CHECKSUMS).returncode != 0


@pytest.mark.parametrize("name", ["SHA256SUMS", "SHA256SUMS.sig"])
def test_other_checksums_than_the_makers_are_found(published, changed, name):
    changed(name)
    assert follow(published, SIGNATURE).returncode != 0


def test_the_source_makes_the_same_bytes(published, changed):
    same = follow(published, REBUILD)
    assert (same.returncode, same.stdout) == (0, ""), same.stdout + same.stderr
    changed("*.whl")
    compare = REBUILD.splitlines()[-1]
    assert "differ" in follow(published, f"set -e; {compare}").stdout


def test_the_list_has_a_hash_for_every_dependency_and_pip_reads_it(published):
    materials = json.loads((published / "dist" / "sbom.json").read_text())
    kinds = {part["purl"].partition("/")[0] for part in materials["components"]}
    assert kinds == {"pkg:pypi", "pkg:golang", "pkg:npm"}
    sizes = {"SHA-256": 64, "SHA-512": 128}
    for part in materials["components"]:
        (one,) = part["hashes"]
        assert re.fullmatch(f"[0-9a-f]{{{sizes[one['alg']]}}}", one["content"]), part["purl"]
    urls = [part["purl"] for part in materials["components"]]
    assert len(set(urls)) == len(urls)
    made = follow(published, REQUIREMENTS)
    assert made.returncode == 0, made.stderr
    locked = (published / "dist" / "locked.txt").read_text().splitlines()
    pinned = re.findall(r"^\S+==\S+$", (ROOT / "deploy/setup/requirements.txt").read_text(), re.MULTILINE)
    assert [line.partition(" --hash=sha256:")[0] for line in locked] == pinned
