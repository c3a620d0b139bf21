# SPDX-License-Identifier: Apache-2.0
"""The guest's firmware: its source is pinned, it is built of its inputs alone, twice the same (`soak`)."""

import hashlib
import os
import re
import subprocess
import sys
import tarfile
from dataclasses import replace

import pytest

from tests.deploy.guest_image.builder import EPOCH, FOLDER, archive_of, firmware, kernel, sources, wheels
from tests.deploy.guest_image.machine import the_firmware, the_firmwares_source
from tests.paths import ROOT
from trustedpods.guest.firmware import SevKind, parse_firmware, sev_sections, tdx_sections

SETUP = """\
build() {
    while [ $# -gt 1 ]; do
        case $1 in -p) platform=$2; shift;; -t) chain=$2; shift;; -D) word=$2; shift;; esac
        shift
    done
    case $platform in *AmdSev*) out=Build/AmdSev;; *) out=Build/IntelTdx;; esac
    test ! -e broken || { echo "some.c:1: error: no good" >&2; exit 1; }
    mkdir -p "$out/RELEASE_$chain/FV"
    { echo "$platform $word $PWD $(umask) $(cat made patched "$platform")"
      env | grep -Ev '^(PWD|OLDPWD|SHLVL|_)=' | sort; } > "$out/RELEASE_$chain/FV/OVMF.fd"
}
"""
PATCH = "--- a/patched\n+++ b/patched\n@@ -1 +1 @@\n-edk2's\n+Debian's\n"
AMD = "[Defines]\r\n  {}\r\n[Components]\r\n  {}\r\n".format(*(one.line for one in firmware.LEFT_OUT[:2]))
FLASH = f"[FV]\r\n{firmware.LEFT_OUT[2].line}\r\nINF other\r\n"


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


def written(path, *members):
    """A tar.xz of (name, text)."""
    with tarfile.open(path, "w:xz") as archive, tarfile.open(
        fileobj=archive_of(*((name, text.encode(), 0o644) for name, text in members))
    ) as plain:  # fmt: skip
        for member in plain:
            archive.addfile(member, plain.extractfile(member))
    return path


def archives(folder, *more, patch=PATCH, amd=AMD):
    """Two archives like edk2's and Debian's, whose `build` writes a text of what built it."""
    whole = written(
        folder / "edk2_1.orig.tar.xz",
        ("edk2-1/BaseTools/Source/C/Makefile", "all:\n\techo tools > ../../../made\n"),
        ("edk2-1/edksetup.sh", SETUP),
        ("edk2-1/patched", "edk2's\n"),
        ("edk2-1/OvmfPkg/AmdSev/AmdSevX64.dsc", amd),
        ("edk2-1/OvmfPkg/AmdSev/AmdSevX64.fdf", FLASH),
        ("edk2-1/OvmfPkg/IntelTdx/IntelTdxX64.dsc", "tdx\r\n"),
        *more,
    )
    debian = written(
        folder / "edk2_1-1.debian.tar.xz",
        ("debian/patches/series", "# comment\nours.patch\n"),
        ("debian/patches/ours.patch", patch),
    )
    return [whole, debian]


@pytest.mark.live
def test_it_is_built_of_its_inputs_alone_at_one_place(tmp_path, monkeypatch):
    made_of = archives(tmp_path)
    monkeypatch.setenv("CC", "clang")
    made = firmware.built(made_of, EPOCH, tmp_path / "one", {})
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    umask = os.umask(0o077)
    again = firmware.built(made_of, EPOCH, tmp_path / "a folder" / "two", {})
    assert os.umask(umask) == 0o077
    assert made.name == again.name
    for platform in firmware.PLATFORMS:
        said = (made / platform.name).read_text()
        assert said == (again / platform.name).read_text()
        assert said.startswith(
            f"{platform.description} {platform.options.removeprefix('-D ')} /usr/src 0022 "
        )
        assert f"SOURCE_DATE_EPOCH={EPOCH}\n" in said
        assert "tools\nDebian's" in said
        assert not re.search(rf"clang|Grub|C\.UTF-8|{tmp_path}", said)
    assert not os.path.ismount(firmware.PLACE)
    assert [path.name for path in (tmp_path / "one").iterdir()] == [made.name]


@pytest.mark.live
def test_what_fails_is_no_firmware_and_says_its_first_error(tmp_path):
    made_of = archives(tmp_path, ("edk2-1/broken", "x"))
    with pytest.raises(wheels.NotBuildable, match=r"firmware was not built: some\.c:1: error: no good"):
        firmware.built(made_of, EPOCH, tmp_path / "cache", {})
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"patch": PATCH.replace("edk2's", "another's")}, "`patch .*failed"),
        ({"amd": AMD.replace("Grub.inf", "Boot.inf")}, r"Grub\.inf' 0 times, not once"),
        ({"amd": AMD + f"  {firmware.LEFT_OUT[1].line}\r\n"}, r"Grub\.inf' 2 times, not once"),
    ],
)
def test_a_source_that_is_not_as_expected_is_refused(tmp_path, changed, said):
    with pytest.raises(wheels.NotBuildable, match=said):
        firmware.built(archives(tmp_path, **changed), EPOCH, tmp_path / "cache", {})
    assert list((tmp_path / "cache").iterdir()) == []


def test_another_tool_is_refused_before_anything_is_unpacked(tmp_path):
    with pytest.raises(wheels.NotBuildable, match=r"NASM 1 is needed, of Debian 12; here is "):
        firmware.built([], EPOCH, tmp_path, {"nasm": "NASM 1"})
    with pytest.raises(wheels.NotBuildable, match=r"ASL 1 is needed, of Debian 12; here is "):
        kernel.same_tools({"iasl": "ASL 1"})


def test_what_is_left_out_is_one_line(tmp_path):
    (tmp_path / "OvmfPkg/AmdSev").mkdir(parents=True)
    file = tmp_path / "OvmfPkg/AmdSev/AmdSevX64.fdf"
    file.write_text(FLASH, newline="")
    firmware.leave_out(tmp_path, firmware.LEFT_OUT[2:])
    assert file.read_bytes() == b"[FV]\r\nINF other\r\n"


def test_every_input_is_in_the_key(tmp_path):
    made_of, (snp, tdx) = archives(tmp_path), firmware.PLATFORMS
    keys = [
        firmware.key(made_of, EPOCH, {}), firmware.key(made_of, EPOCH + 1, {}),
        firmware.key(made_of, EPOCH, {"nasm": "2"}), firmware.key(made_of[:1], EPOCH, {}),
        firmware.key(made_of, EPOCH, {}, (snp, replace(tdx, options="-D OTHER=TRUE"))),
        firmware.key(made_of, EPOCH, {}, left_out=firmware.LEFT_OUT[:1]),
    ]  # fmt: skip
    assert len(set(keys)) == 6


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A registry of one file, with the content of `served`; what it was asked for is in `asked`."""
    tool, helper = tmp_path / "apt-get", tmp_path / "apt-helper"
    tool.write_text(f"#!/bin/sh\necho \"'{BASE}/ovmf_0_all.deb' ovmf_0_all.deb 7 SHA256:{'c' * 64}\"\n")
    helper.write_text(f'#!/bin/sh\necho "$2 $4" >> {tmp_path}/asked\ncp {tmp_path}/served "$3"\n')
    for one in (tool, helper):
        one.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
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
    (first,) = sources.fetched([DEBIAN], tmp_path / "cache", str(tmp_path / "apt-helper"))
    registry.unlink()
    assert sources.fetched([DEBIAN], tmp_path / "cache", str(tmp_path / "apt-helper")) == [first]
    assert first.read_bytes() == CONTENT
    asked = (tmp_path / "asked").read_text()
    assert asked == f"{BASE}/edk2_1-2%2bdeb13u1.debian.tar.xz SHA256:{DIGEST}\n"


def test_another_content_is_refused(tmp_path, registry):
    registry.write_bytes(CONTENT + b"!")
    with pytest.raises(wheels.NotBuildable, match=r"is not edk2_1-2\+deb13u1\.debian\.tar\.xz as pinned"):
        sources.fetched([DEBIAN], tmp_path / "cache", str(tmp_path / "apt-helper"))


def test_one_that_is_gone_is_named(tmp_path, registry):
    with pytest.raises(wheels.NotBuildable, match=r"has no edk2_1-2\+deb13u1.*`make guest-pins` writes new"):
        sources.fetched([DEBIAN], tmp_path / "cache", str(tmp_path / "apt-helper"))
    assert list((tmp_path / "cache/guest-packages").iterdir()) == []


BUILDING = """
import sys, pathlib
sys.path[:0] = sys.argv[5:]
import firmware
firmware.built([pathlib.Path(one) for one in sys.argv[1:3]], int(sys.argv[3]), pathlib.Path(sys.argv[4]))
"""


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_two_builds_are_one_firmware_and_both_measure_the_kernel(tmp_path):
    """That of the cache, and one of another folder, umask, locale and number of processors."""
    first, other = the_firmware(), tmp_path / "a folder" / "further in"
    archives, epoch = the_firmwares_source()
    folders = [FOLDER, ROOT / "deploy/debian", ROOT / "deploy/setup"]
    argv = ["taskset", "-c", "0", sys.executable, "-c", BUILDING, *archives, str(epoch), other, *folders]
    environment = {**os.environ, "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "CFLAGS": "-O1"}
    subprocess.run(argv, check=True, umask=0o077, env=environment)
    for platform in firmware.PLATFORMS:
        content = (first / platform.name).read_bytes()
        assert (other / first.name / platform.name).read_bytes() == content
    snp, tdx = (
        parse_firmware((first / platform.name).read_bytes(), platform.name) for platform in firmware.PLATFORMS
    )
    assert SevKind.KERNEL_HASHES in [section.kind for section in sev_sections(snp, "snp")]
    assert tdx_sections(tdx, "tdx")
