#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a release: `python deploy/release/release.py VERSION [DEB]` (`make release VERSION=x.y.z`).

Into dist/ go the wheel and the source archive, the Debian package that `make deb` built just before,
`sbom.json` (CycloneDX 1.6, from the lock files of Python, Go
and npm, with a hash of each dependency), `NOTES.md` (the version's section of CHANGELOG.md) and SHA256SUMS
over all of them; with $RELEASE_KEY, an Ed25519 key in PEM, also SHA256SUMS.sig, over the bytes of that file.
Then the commit is tagged `vVERSION`, here only.

The same commit makes the same bytes: times in the archives are the commit's. How anybody checks all this is
in docs/verifying.md.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

VERSION = re.compile(r"\d+\.\d+\.\d+")
LOCK = Path("deploy/setup/requirements.txt")
FILES = Path("deploy/setup/hashes.txt")
"""SHA-256 of the file of each line of the lock that was installed and tested (deploy/setup/lock.py)."""
GO_LOCK = Path("deploy/kube/go.sum")
NPM_LOCK = Path("contracts/package-lock.json")

Component = dict[str, object]


class NotReleasable(Exception):
    """Why no release can be made of this checkout; the text is for people."""


def notes(changelog: str, version: str) -> str:
    """The section of *version*; NotReleasable without one."""
    found = re.search(
        rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    if found is None or not found[1].strip():
        raise NotReleasable(f"CHANGELOG.md has no section [{version}]: give the unreleased one its name")
    return found[1].strip() + "\n"


def bill_of_materials(root: Path, version: str) -> dict[str, object]:
    """CycloneDX 1.6: our package, and each dependency with its package URL and a hash.

    NotReleasable where a lock file has a dependency without one.
    """
    components = [
        *_python((root / LOCK).read_text(), (root / FILES).read_text()),
        *_go((root / GO_LOCK).read_text()),
        *_npm(json.loads((root / NPM_LOCK).read_text())),
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "trusted-pods", "version": version}},
        "components": components,
    }


def _python(lock: str, files: str) -> Iterator[Component]:
    """Each pinned package, with the hash of its file and that file's name."""
    known: dict[tuple[str, str], tuple[str, str]] = {}
    for digest, file in (line.split() for line in files.splitlines() if not line.startswith("#")):
        known[_of_file(file)] = (digest, file)
    for name, pin in re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", lock, re.MULTILINE):
        if (_normal(name), pin) not in known:
            raise NotReleasable(f"{FILES} has no hash of {name} {pin}: make it anew, as {LOCK} was")
        digest, file = known[_normal(name), pin]
        made = _component(name, pin, f"pkg:pypi/{name.lower()}@{pin}", "SHA-256", digest)
        yield made | {"properties": [{"name": "trustedpods:file", "value": file}]}


def _of_file(file: str) -> tuple[str, str]:
    """Name and version in the name of a wheel (PEP 427) or of a source archive (PEP 625)."""
    if file.endswith(".whl"):
        name, version = file.split("-")[:2]
    else:
        name, _, version = file.removesuffix(".tar.gz").rpartition("-")
    return _normal(name), version


def _normal(name: str) -> str:
    """How PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _go(sums: str) -> Iterator[Component]:
    """Each module whose content was checked: `h1` of go.sum is a SHA-256 over the hashes of its files."""
    for name, version, checksum in (line.split() for line in sums.splitlines()):
        if not version.endswith("/go.mod"):
            digest = base64.b64decode(checksum.removeprefix("h1:")).hex()
            yield _component(name, version, f"pkg:golang/{name}@{version}", "SHA-256", digest)


def _npm(lock: dict[str, dict[str, dict[str, str]]]) -> Iterator[Component]:
    """Each package of npm's lock file, whose integrity is one hash in base64."""
    for place, package in lock["packages"].items():
        if not place:  # our own
            continue
        name = place.rpartition("node_modules/")[2]
        kind, _, digest = package.get("integrity", "").partition("-")
        if kind != "sha512":
            raise NotReleasable(f"{NPM_LOCK} has no sha512 of {name}")
        version, url = package["version"], f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"
        yield _component(name, version, url, "SHA-512", base64.b64decode(digest).hex())


def _component(name: str, version: str, url: str, algorithm: str, digest: str) -> Component:
    hashes = [{"alg": algorithm, "content": digest}]
    return {"type": "library", "name": name, "version": version, "purl": url, "hashes": hashes}


def check(root: Path, version: str) -> str:
    """The notes of the release; NotReleasable where anything stands against it."""
    if not VERSION.fullmatch(version):
        raise NotReleasable(f"{version!r} is no version: three numbers, as in 1.2.3")
    declared = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    if declared != version:
        raise NotReleasable(f"pyproject.toml says {declared}: write {version} there and commit it")
    if dirty := _git(root, "status", "--porcelain"):
        raise NotReleasable(f"the checkout is not clean: {dirty.splitlines()[0].strip()}")
    if _git(root, "tag", "--list", f"v{version}"):
        raise NotReleasable(f"there is a tag v{version} already")
    return notes((root / "CHANGELOG.md").read_text(), version)


def make(root: Path, version: str, key: bytes | None, package: Path | None = None) -> list[Path]:
    """Everything of the release in dist/, in the order of SHA256SUMS.

    *key* is a PEM, *package* the Debian package, which joins it as it is.
    """
    if package is not None:
        _check_package(package, version)
    text, signer = check(root, version), None if key is None else _signing_key(key)
    dist = root / "dist"
    dist.mkdir(exist_ok=True)
    if left := [path.name for path in dist.iterdir()]:
        raise NotReleasable(f"dist/ holds {left[0]}: move it away")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _git(root, "log", "-1", "--format=%ct")}
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(dist)]
    _build(build, root, environment)
    materials = bill_of_materials(root, version)
    (dist / "sbom.json").write_text(json.dumps(materials, indent=1) + "\n")
    (dist / "NOTES.md").write_text(text)
    if package is not None:
        shutil.copy(package, dist)
    made = sorted(dist.iterdir())
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made)
    (dist / "SHA256SUMS").write_text(sums)
    if signer is not None:
        (dist / "SHA256SUMS.sig").write_bytes(signer.sign(sums.encode()))
    _git(root, "tag", f"v{version}")
    return made


def _check_package(package: Path, version: str) -> None:
    """NotReleasable unless it is a package of this version."""
    argv = ["dpkg-deb", "--field", str(package), "Version"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)  # noqa: S603 - dpkg's
    if done.returncode:
        raise NotReleasable(f"{package} is no Debian package: {done.stderr.strip()}")
    if (found := done.stdout.strip()) != version:
        raise NotReleasable(f"{package} is of version {found}: run `make deb`")


def _build(argv: list[str], root: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - ours
        argv, cwd=root, env=environment, check=False, capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise NotReleasable(f"the build failed: {' '.join(last)}")


def _signing_key(pem: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise NotReleasable(f"$RELEASE_KEY is no key: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise NotReleasable("$RELEASE_KEY is not an Ed25519 key")
    return key


def _git(root: Path, *words: str) -> str:
    argv = ["git", *words]
    done = subprocess.run(argv, cwd=root, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    return done.stdout.strip()


def _named(words: list[str]) -> tuple[str, Path | None]:
    """The version, and the Debian package where one is named."""
    if len(words) not in {1, 2}:
        raise NotReleasable("name the version: make release VERSION=x.y.z")
    return words[0], Path(words[1]) if words[1:] else None


def main(words: list[str]) -> int:
    """Exit code 2 where nothing was made, and why."""
    file = os.environ.get("RELEASE_KEY")
    try:
        version, package = _named(words)
        made = make(Path.cwd(), version, Path(file).read_bytes() if file else None, package)
    except (NotReleasable, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    names = ", ".join(path.name for path in made)
    sys.stdout.write(f"dist/: {names}, SHA256SUMS{', signed' if file else ''}; tagged v{words[0]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
