# SPDX-License-Identifier: Apache-2.0
"""Which files of the lock the package takes, and what pip is told of them."""

import re

import pytest

from tests.deploy.debian.packages import wheels
from tests.paths import ROOT

HASHES = (ROOT / "deploy/setup/hashes.txt").read_text()
PINS = (ROOT / "deploy/setup/requirements.txt").read_text()
LOCK = dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", PINS, re.MULTILINE))


def test_what_is_installed_is_the_providers_part_of_the_lock():
    versions = wheels.installed()
    assert {"trio", "kubernetes", "sqlalchemy", "psycopg-binary", "libp2p"} <= versions.keys()
    assert versions.keys() & {"pytest", "mypy", "web3", "hypothesis", "trusted-pods"} == set()
    assert {name: LOCK.get(name) for name in versions} == versions


def test_pip_is_told_the_hash_of_each():
    wanted = wheels.requirements(HASHES, wheels.installed())
    lines = (wanted.wheels + wanted.sources).splitlines()
    assert len(lines) == len(wheels.installed())
    for line in lines:
        assert re.fullmatch(r"[a-z0-9-]+==\S+ --hash=sha256:[0-9a-f]{64}", line)
    assert {line.partition("=")[0] for line in wanted.sources.splitlines()} == {
        "fastecdsa",
        "python-baseconv",
        "varint",
    }


def test_a_version_without_a_hash_is_refused():
    with pytest.raises(wheels.NotBuildable, match=r"no hash of trio 0\.0\.1"):
        wheels.requirements(HASHES, {"trio": "0.0.1"})


def test_what_a_program_said_last_is_the_reason():
    with pytest.raises(wheels.NotBuildable, match=r"sh -c .* failed: second"):
        wheels.run(["sh", "-c", "echo first >&2; echo second >&2; exit 3"], {})
