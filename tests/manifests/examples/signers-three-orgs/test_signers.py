# SPDX-License-Identifier: Apache-2.0
"""The parts of three owners: sound, with a password each, and bundles of exactly those who are linked."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.images.oci_images import ImageFiles
from tests.paths import EXAMPLES, IMAGES
from trustedpods.manifests.rendering import rendered
from trustedpods.protocol.ids import parse_address
from trustedpods.protocol.networks.book import BookEntry, NetworkBook
from trustedpods.protocol.sealing.trust_anchors import trust_anchor
from trustedpods.provider.core.generated.key_pairs import made_key, public_key
from trustedpods.publisher.verbs.networks.files import NetworkFile, read_network

OWNERS = ("acme", "bolt", "cato")
SOMEBODY = parse_address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")


def made(who: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, str(EXAMPLES / "signers-three-orgs" / "signers.py"), "files", who, str(folder)]
    return subprocess.run(words, check=False, capture_output=True, text=True)


@pytest.fixture
def read(tmp_path: Path) -> dict[str, NetworkFile]:
    """The network's file of each owner, as a command reads it."""
    found = {}
    for who in OWNERS:
        (folder := tmp_path / who).mkdir()
        for image in ("drand-tls", "postgres"):
            ImageFiles().write_archive(folder / f"{image}.tar")
        assert made(who, folder).returncode == 0
        found[who] = read_network(folder / "signers.yaml", folder / "cache", SOMEBODY)
    return found


def test_each_has_a_key_of_its_own_for_the_name_by_which_others_call_it(read: dict[str, NetworkFile]) -> None:
    passwords = set()
    for who, file in read.items():
        pod = file.pods["signer"]
        assert pod.manifest.identity == ("tls", "tls.key")
        name = f"{who}-signer.signers.internal"
        assert pod.manifest.identity_key is not None
        assert pod.manifest.identity_key.certificates == {"tls.pem": name}
        drand = pod.manifest.spec.containers[0]
        told = {one.name: one.value for one in drand.env}
        assert told["SSL_CERT_FILE"] == "/peers/peers.pem"
        assert "tls" not in {one.name for one in drand.volume_mounts}, "it trusts nothing that is renewed"
        assert told["SIGNER_ADDRESS"] == f"{name}:8443"
        secrets = pod.loaded.secrets
        password = secrets["password"]["password"].decode()
        assert f"postgres://postgres:{password}@127.0.0.1:5432/" in secrets["config"]["config.toml"].decode()
        assert "tls.key" not in secrets["tls"]
        passwords.add(password)
    assert len(passwords) == len(OWNERS)


def book(**identities: bytes) -> NetworkBook:
    """Of nodes that are known by these."""
    entries = [
        BookEntry(node=f"{who}-signer", service="mpc", port=8443, transport="TCP", identity=identity)
        for who, identity in identities.items()
    ]
    return NetworkBook(network="signers", node="signer", generation=1, entries=entries)


def test_a_bundle_has_those_who_are_linked_and_nobody_before(read: dict[str, NetworkFile]) -> None:
    text = read["acme"].pods["signer"].loaded.secrets["peers"]["peers.pem"].decode()
    assert rendered(text, book(bolt=b"")) == ""
    key = public_key(made_key("p256", lambda size: b"\x07" * size))
    bundle = rendered(text, book(bolt=key, cato=b""))
    assert bundle == trust_anchor(key, ("bolt-signer.signers.internal",)) + "\n"


def test_a_password_is_made_once(tmp_path: Path) -> None:
    made("acme", tmp_path)
    before = {file: file.read_text() for file in (tmp_path / "keys").iterdir()}
    again = made("acme", tmp_path)
    assert again.returncode == 1
    assert again.stderr == f"{tmp_path / 'signers.yaml'} is there: a node keeps its password\n"
    assert {file: file.read_text() for file in (tmp_path / "keys").iterdir()} == before


@pytest.mark.parametrize("left", [[], ["keys/password"], ["keys/password", "keys/config.toml", "front.conf"]])
def test_what_was_interrupted_is_done_again_with_the_password_that_there_is(
    tmp_path: Path, left: list[str]
) -> None:
    (whole := tmp_path / "whole").mkdir()
    (cut := tmp_path / "cut").mkdir()
    assert made("acme", whole).returncode == 0
    (cut / "keys").mkdir()
    for name in left:
        shutil.copy(whole / name, cut / name)
    (cut / "keys" / "password.part").write_text("ab")
    assert made("acme", cut).returncode == 0
    passwords = [(one / "keys" / "password").read_text() for one in (whole, cut)]
    assert (passwords[0] == passwords[1]) is bool(left)
    assert f":{passwords[1]}@" in (cut / "keys" / "config.toml").read_text()
    assert sorted(one.name for one in cut.rglob("*")) == sorted(one.name for one in whole.rglob("*"))


def ran(script: str, folder: Path, **programs: str) -> "subprocess.CompletedProcess[str]":
    """*script* by a shell that finds *programs*, a line of shell each, before others; no pause lasts."""
    for name, line in {"sleep": "exit 0", **programs}.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", "-c", script], check=False, capture_output=True, text=True, env=environment, timeout=60
    )


def test_nobody_waits_for_ever_for_a_database(tmp_path: Path, read: dict[str, NetworkFile]) -> None:
    (schema,) = read["acme"].pods["signer"].manifest.spec.init_containers
    ended = ran(schema.command[2], tmp_path, psql="exit 2", **{"run-postgres": "exit 0"})
    assert (ended.returncode, ended.stderr) == (1, "no database answered 120 looks\n")
    later = f"echo x >> {tmp_path}/looks; [ $(wc -l < {tmp_path}/looks) -gt 3 ]"
    begun = ran(schema.command[2], tmp_path, psql=later, **{"run-postgres": "exec tail -f /dev/null"})
    assert (begun.returncode, begun.stderr) == (0, "")

    (tmp_path / "config.toml").write_text('pg_dsn = "postgres://postgres:x@127.0.0.1:5432/postgres"\n')
    signer = (IMAGES / "drand" / "run-signer").read_text()
    here = signer.replace("/config/", f"{tmp_path}/").replace("/tmp/settings", f"{tmp_path}/settings")
    ended = ran(f"TRUSTEDPODS_POD=a; {here}", tmp_path, nc="exit 1")
    assert (ended.returncode, ended.stderr) == (1, "run-signer: no database answers at 127.0.0.1:5432\n")
