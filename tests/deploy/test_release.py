# SPDX-License-Identifier: Apache-2.0
"""`make release`, in a copy of the repository: what it makes, twice alike, and what it refuses."""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.paths import ROOT
from tests.test_layout import tracked

SCRIPT = ROOT / "deploy" / "release" / "release.py"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
VERSION = "0.1.0"


def _load():
    spec = importlib.util.spec_from_file_location("release", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = _load()


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def repository(folder: Path, files: Iterable[Path]) -> Path:
    """One commit of these files, with a section for the version."""
    for path in files:
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    changes = folder / "CHANGELOG.md"
    changes.write_text(changes.read_text().replace("## [Unreleased]", f"## [{VERSION}] - 2026-11-28"))
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "everything", "--date=2026-11-28T00:00:00Z")
    return folder


@pytest.fixture
def checkout(tmp_path):
    files = [path for path in tracked() if path.is_file() and not path.is_relative_to(ROOT / "tests")]
    return repository(tmp_path / "checkout", files)


def run(folder: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(SCRIPT), *words]
    seen = {"PATH": "/usr/bin:/bin:/usr/local/bin", **environment}
    return subprocess.run(command, cwd=folder, env=seen, capture_output=True, text=True, check=False)


def debian(folder: Path, version: str) -> Path:
    """A package of that version, with nothing in it."""
    control = folder / "tree" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    about = "Architecture: amd64\nMaintainer: x <x@example.org>\nDescription: x\n"
    control.write_text(f"Package: x\nVersion: {version}\n{about}")
    made = folder / f"x_{version}_amd64.deb"
    subprocess.run(["dpkg-deb", "--build", folder / "tree", made], check=True, capture_output=True)
    return made


def test_a_release_is_whole_signed_tagged_and_the_same_again(checkout, tmp_path):
    (tmp_path / "key.pem").write_bytes(PEM)
    package = str(debian(tmp_path, VERSION))
    made = run(checkout, VERSION, package, RELEASE_KEY=str(tmp_path / "key.pem"))
    assert made.returncode == 0, made.stderr
    dist = checkout / "dist"
    sums = (dist / "SHA256SUMS").read_text()
    listed = dict(reversed(line.split("  ")) for line in sums.splitlines())
    assert set(listed) == {path.name for path in dist.iterdir()} - {"SHA256SUMS", "SHA256SUMS.sig"}
    assert {name.rpartition(".")[2] for name in listed} == {"whl", "gz", "deb", "json", "md"}
    for name, digest in listed.items():
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest
    KEY.public_key().verify((dist / "SHA256SUMS.sig").read_bytes(), sums.encode())
    materials = json.loads((dist / "sbom.json").read_text())
    assert "pkg:pypi/libp2p@0.8.1" in {part["purl"] for part in materials["components"]}
    assert "### Added" in (dist / "NOTES.md").read_text()
    assert "already" in run(checkout, VERSION).stderr
    git(checkout, "tag", "--delete", f"v{VERSION}")
    shutil.rmtree(dist)
    assert run(checkout, VERSION, package).returncode == 0
    assert (dist / "SHA256SUMS").read_text() == sums


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "name the version"),
        (("1.0",), "no version"),
        (("9.9.9",), "pyproject.toml says"),
        ((VERSION,), "not clean"),
    ],
)
def test_what_stands_against_a_release_is_said_and_nothing_is_made(tmp_path, words, why):
    files = [ROOT / name for name in ("pyproject.toml", "CHANGELOG.md")]
    checkout = repository(tmp_path / "checkout", files)
    (checkout / "README.md").write_text("new\n")
    refused = run(checkout, *words)
    assert (refused.returncode, why in refused.stderr) == (2, True), refused.stderr
    assert not (checkout / "dist").exists()


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no Debian here")
def test_a_package_of_another_version_is_refused(tmp_path):
    checkout = repository(tmp_path / "checkout", [ROOT / name for name in ("pyproject.toml", "CHANGELOG.md")])
    for package, why in (
        (debian(tmp_path, "9.9.9"), "is of version 9.9.9"),
        (checkout / "CHANGELOG.md", "no Debian"),
    ):
        refused = run(checkout, VERSION, str(package))
        assert (refused.returncode, why in refused.stderr) == (2, True), refused.stderr
        assert not (checkout / "dist").exists()


def test_a_version_without_notes_is_refused():
    with pytest.raises(release.NotReleasable, match=r"no section \[2\.0\.0\]"):
        release.notes("## [Unreleased]\n\n- much\n\n## [1.0.0]\n\n- first\n", "2.0.0")
    assert release.notes("## [1.0.0] - today\n\n- first\n\n## [0.9.0]\n\n- before\n", "1.0.0") == "- first\n"


NPM = {
    "packages": {"": {}, "node_modules/@a/b": {"version": "1.0.0", "integrity": "sha512-" + "AA" * 43 + "=="}}
}


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, ""),
        ({release.FILES: f"{'0' * 64}  a_b-1.0-py3-none-any.whl\n"}, "no hash of C.d 2.0"),
        (
            {release.FILES: f"{'0' * 64}  a_b-1.0-py3-none-any.whl\n{'0' * 64}  c_d-2.1.tar.gz\n"},
            "no hash of C.d",
        ),
        ({release.NPM_LOCK: json.dumps(NPM).replace("sha512", "sha1")}, "no sha512 of @a/b"),
        ({release.NPM_LOCK: '{"packages": {"node_modules/x": {"version": "1"}}}'}, "no sha512 of x"),
    ],
)
def test_a_dependency_without_a_hash_is_refused(tmp_path, files, why):
    good = {
        release.LOCK: "# comment\na-b==1.0\nC.d==2.0\n",
        release.FILES: f"# comment\n{'0' * 64}  a_b-1.0-py3-none-any.whl\n{'1' * 64}  c_d-2.0.tar.gz\n",
        release.GO_LOCK: "a.org/m v1.0.0 h1:"
        + "AA" * 21
        + "A=\na.org/m v1.0.0/go.mod h1:"
        + "AA" * 21
        + "A=\n",
        release.NPM_LOCK: json.dumps(NPM),
    }
    for path, text in (good | files).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    if why:
        with pytest.raises(release.NotReleasable, match=why):
            release.bill_of_materials(tmp_path, VERSION)
        return
    found = {
        part["purl"]: part["hashes"] for part in release.bill_of_materials(tmp_path, VERSION)["components"]
    }
    assert found == {
        "pkg:pypi/a-b@1.0": [{"alg": "SHA-256", "content": "0" * 64}],
        "pkg:pypi/c.d@2.0": [{"alg": "SHA-256", "content": "1" * 64}],
        "pkg:golang/a.org/m@v1.0.0": [{"alg": "SHA-256", "content": "0" * 64}],
        "pkg:npm/%40a/b@1.0.0": [{"alg": "SHA-512", "content": "0" * 128}],
    }


def test_a_key_of_another_kind_is_refused_before_anything_is_made(tmp_path):
    files = [ROOT / name for name in ("pyproject.toml", "CHANGELOG.md")]
    checkout, key = repository(tmp_path / "checkout", files), tmp_path / "key.pem"
    other = ec.generate_private_key(ec.SECP256R1())
    for pem, why in (
        (b"nothing", "no key"),
        (other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "not an Ed25519 key"),
    ):
        key.write_bytes(pem)
        refused = run(checkout, VERSION, RELEASE_KEY=str(key))
        assert (refused.returncode, why in refused.stderr) == (2, True), refused.stderr
        assert not (checkout / "dist").exists()


def test_a_build_that_fails_is_said_in_one_line_and_tags_nothing(tmp_path):
    checkout = repository(tmp_path / "checkout", [ROOT / name for name in ("pyproject.toml", "CHANGELOG.md")])
    refused = run(checkout, VERSION)
    assert (refused.returncode, "the build failed" in refused.stderr) == (2, True), refused.stderr
    assert "Traceback" not in refused.stderr
    assert release._git(checkout, "tag", "--list") == ""
