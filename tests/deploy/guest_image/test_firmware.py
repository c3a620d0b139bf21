# SPDX-License-Identifier: Apache-2.0
"""The guest's firmware: built of its inputs alone, at one place; the real one twice the same (`soak`)."""

import os
import re
import subprocess
import sys
import tarfile
from dataclasses import replace

import pytest

from tests.deploy.guest_image.builder import EPOCH, FOLDER, archive_of, firmware, kernel, wheels
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
    sources = archives(tmp_path)
    monkeypatch.setenv("CC", "clang")
    made = firmware.built(sources, EPOCH, tmp_path / "one", {})
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    umask = os.umask(0o077)
    again = firmware.built(sources, EPOCH, tmp_path / "a folder" / "two", {})
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
    sources = archives(tmp_path, ("edk2-1/broken", "x"))
    with pytest.raises(wheels.NotBuildable, match=r"firmware was not built: some\.c:1: error: no good"):
        firmware.built(sources, EPOCH, tmp_path / "cache", {})
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


def test_every_input_is_in_the_key(tmp_path, monkeypatch):
    sources = archives(tmp_path)
    keys = [
        firmware.key(sources, EPOCH, {}), firmware.key(sources, EPOCH + 1, {}),
        firmware.key(sources, EPOCH, {"nasm": "2"}), firmware.key(sources[:1], EPOCH, {}),
    ]  # fmt: skip
    platform = firmware.PLATFORMS[1]
    monkeypatch.setattr(firmware, "PLATFORMS", (replace(platform, options="-D OTHER=TRUE"),))
    keys.append(firmware.key(sources, EPOCH, {}))
    monkeypatch.setattr(firmware, "LEFT_OUT", ())
    keys.append(firmware.key(sources, EPOCH, {}))
    assert len(set(keys)) == 6


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
