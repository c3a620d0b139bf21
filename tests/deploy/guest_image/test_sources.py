# SPDX-License-Identifier: Apache-2.0
"""The firmware's source: pinned by name and hash, found where apt says, taken once."""

import hashlib

import pytest

from tests.deploy.guest_image.builder import FOLDER, sources, wheels

CONTENT = b"an archive"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
WHOLE = sources.Source("edk2_1.orig.tar.xz", "a" * 64)
DEBIAN = sources.Source("edk2_1-2+deb13u1.debian.tar.xz", DIGEST)
BASE = "http://registry.test/debian/pool/main/e/edk2"
LISTED = f"""\
Reading package lists...
'{BASE}/edk2_1-2%2bdeb13u1.dsc' edk2_1-2+deb13u1.dsc 2656 SHA256:{"b" * 64}
'{BASE}/edk2_1-2%2bdeb13u1.debian.tar.xz' {DEBIAN.file} 53652 SHA256:{DIGEST}
'{BASE}/edk2_1.orig.tar.xz' {WHOLE.file} 29646336 SHA256:{WHOLE.sha256}
"""


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A registry of one file, with the content of `served`; what it was asked for is in `asked`."""
    tool, helper = tmp_path / "apt-get", tmp_path / "apt-helper"
    tool.write_text(f"#!/bin/sh\necho \"'{BASE}/ovmf_0_all.deb' ovmf_0_all.deb 7 SHA256:{'c' * 64}\"\n")
    helper.write_text(f'#!/bin/sh\necho "$2 $4" >> {tmp_path}/asked\ncp {tmp_path}/served "$3"\n')
    for one in (tool, helper):
        one.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(sources, "APT_HELPER", str(helper))
    return tmp_path / "served"


def test_the_projects_own_pins_are_in_their_form():
    text = (FOLDER / "edk2.txt").read_text()
    assert sources.written(sources.read(text)) == text


def test_what_apt_lists_is_the_two_archives_in_their_order():
    assert sources.chosen(LISTED) == (WHOLE, DEBIAN)
    assert sources.read(sources.written((WHOLE, DEBIAN))) == (WHOLE, DEBIAN)
    with pytest.raises(wheels.NotBuildable, match="are not edk2's archive and then Debian's"):
        sources.chosen(LISTED.replace(".orig.", ".new."))


@pytest.mark.parametrize(
    "line", ["x", f"{DIGEST} edk2_1.orig.tar.xz", f"{DIGEST}  ../a.orig.tar.xz", f"{DIGEST}  a.tar.xz"]
)
def test_a_line_that_is_no_pin_is_named(line):
    with pytest.raises(
        wheels.NotBuildable, match=r"line 2 of the firmware's pins is none.*`make guest-pins`"
    ):
        sources.read(f"# first\n{line}\n")


def test_it_is_fetched_once_by_the_address_that_apt_has(tmp_path, registry):
    registry.write_bytes(CONTENT)
    (first,) = sources.fetched([DEBIAN], tmp_path / "cache")
    registry.unlink()
    assert sources.fetched([DEBIAN], tmp_path / "cache") == [first]
    assert first.read_bytes() == CONTENT
    asked = (tmp_path / "asked").read_text()
    assert asked == f"{BASE}/edk2_1-2%2bdeb13u1.debian.tar.xz SHA256:{DIGEST}\n"


def test_another_content_is_refused(tmp_path, registry):
    registry.write_bytes(CONTENT + b"!")
    with pytest.raises(wheels.NotBuildable, match=r"is not edk2_1-2\+deb13u1\.debian\.tar\.xz as pinned"):
        sources.fetched([DEBIAN], tmp_path / "cache")


def test_one_that_is_gone_is_named(tmp_path, registry):
    with pytest.raises(wheels.NotBuildable, match=r"has no edk2_1-2\+deb13u1.*`make guest-pins` writes new"):
        sources.fetched([DEBIAN], tmp_path / "cache")
    assert list((tmp_path / "cache/guest-packages").iterdir()) == []
