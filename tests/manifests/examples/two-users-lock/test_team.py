# SPDX-License-Identifier: Apache-2.0
"""The file of two people's network: sound, with both in their roles, and none without Bob's card."""

import subprocess
import sys
from pathlib import Path

from tests.fakes.images.oci_images import ImageFiles
from tests.paths import EXAMPLES
from tests.protocol.networks.team import person
from trustedpods.publisher.verbs.networks.files import card_text, read_network

ALICE, BOB = person(1), person(2)


def made(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, str(EXAMPLES / "two-users-lock" / "team.py"), *map(str, words)]
    return subprocess.run(argv, check=False, capture_output=True, text=True)


def test_both_have_their_roles_and_the_nodes_are_sound(tmp_path: Path) -> None:
    ImageFiles().write_archive(tmp_path / "hello.tar")
    (tmp_path / "bob.card").write_text(card_text(BOB.card))
    assert made(ALICE.address, BOB.address, "bob.card", tmp_path).returncode == 0
    file = read_network(tmp_path / "shop.yaml", tmp_path / "cache", BOB.address)
    assert (file.network.founder, file.network.name) == (ALICE.address, "shop")
    assert file.members is not None
    assert {one.address: one.role for one in file.members} == {
        ALICE.address: "owner",
        BOB.address: "operator",
    }
    assert set(file.pods) == {"front", "back"}


def test_nothing_is_written_without_bobs_card_or_for_who_has_no_address(tmp_path: Path) -> None:
    missing = made(ALICE.address, BOB.address, "bob.card", tmp_path)
    assert (missing.returncode, "trustedpods network card" in missing.stderr) == (1, True)
    assert made("alice", BOB.address, "bob.card", tmp_path).returncode == 2
    assert list(tmp_path.iterdir()) == []
