# SPDX-License-Identifier: Apache-2.0
"""The guest's kernel: what its configuration says, that it comes out so, that one input makes one kernel."""

import os
import re
import subprocess
import sys

import pytest

from tests.deploy.guest_image.builder import FOLDER, kernel, wheels
from tests.deploy.guest_image.machine import the_kernel, the_source
from tests.paths import ROOT

MAKEFILE = """\
alldefconfig:
\tcp "$(KCONFIG_ALLCONFIG)" .config
\tsed -i 's/^CONFIG_LOST=y/# CONFIG_LOST is not set/' .config
bzImage:
\ttest ! -e broken || { echo "some.c:1: error: no good" >&2; exit 1; }
\tmkdir -p arch/x86/boot
\t{ env | grep -Ev '^(MAKE|MFLAGS|PWD|OLDPWD|SHLVL|_=)' | sort; umask; } > arch/x86/boot/bzImage
\tcat .config patched >> arch/x86/boot/bzImage
"""
PATCH = "--- a/patched\n+++ b/patched\n@@ -1 +1 @@\n-Debian's\n+ours\n"


@pytest.fixture
def source(tmp_path):
    """A package like Debian's of a kernel's source, in which `bzImage` is a text of what built it."""
    folder, tree = tmp_path / "package", tmp_path / "linux-source-6"
    (folder / "usr/src").mkdir(parents=True)
    (folder / "DEBIAN").mkdir()
    (folder / "DEBIAN/control").write_text(
        "Package: linux-source-6\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: a\n"
    )
    tree.mkdir()
    (tree / "Makefile").write_text(MAKEFILE)
    (tree / "patched").write_text("Debian's\n")
    (tree / "lib").mkdir()
    (tree / "lib/Kconfig.some").write_text("menuconfig SMP\nconfig LOST\n\tconfig NAME\nconfig MODULES\n")
    (tree / "Kconfig").write_text("config NUMBER\n")
    archive = folder / "usr/src/linux-source-6.tar.xz"
    subprocess.run(["tar", "-C", tmp_path, "-cJf", archive, tree.name], check=True)
    package = tmp_path / "source.deb"
    subprocess.run(["dpkg-deb", "--build", folder, package], check=True, capture_output=True)
    return package


@pytest.fixture
def linux(tmp_path):
    """A folder of a configuration and a patch."""
    folder = tmp_path / "linux"
    folder.mkdir()
    (folder / "config.txt").write_text('# a comment\n[A part]\nSMP\n-MODULES\nNAME="a"\nNUMBER=3\n')
    (folder / "ours.patch").write_text(PATCH)
    return folder


def test_it_is_built_of_its_inputs_alone(tmp_path, source, linux, monkeypatch):
    monkeypatch.setenv("KBUILD_BUILD_USER", "somebody")
    monkeypatch.setenv("CC", "clang")
    made = kernel.built(source, tmp_path / "one", linux, {})
    umask = os.umask(0o077)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    again = kernel.built(source, tmp_path / "a folder" / "two", linux, {})
    assert os.umask(umask) == 0o077
    said = (made / "vmlinuz").read_text()
    assert said == (again / "vmlinuz").read_text()
    assert made.name == again.name
    assert "KBUILD_BUILD_USER=trustedpods\n" in said
    assert "TZ=UTC\n" in said
    assert "0022\n" in said
    assert said.endswith("ours\n")
    assert not re.search(r"clang|somebody|C\.UTF-8", said)
    assert (made / "config").read_text() == (
        'CONFIG_SMP=y\n# CONFIG_MODULES is not set\nCONFIG_NAME="a"\nCONFIG_NUMBER=3\n'
    )
    assert [path.name for path in (tmp_path / "one").iterdir()] == [made.name]


def test_what_is_there_is_not_built_again_and_another_input_is_another_kernel(tmp_path, source, linux):
    made = kernel.built(source, tmp_path / "cache", linux, {})
    first = (made / "vmlinuz").stat().st_ino
    (linux / "config.txt").write_text("# said otherwise\n" + (linux / "config.txt").read_text())
    assert (kernel.built(source, tmp_path / "cache", linux, {}) / "vmlinuz").stat().st_ino == first
    (linux / "config.txt").write_text("-SMP\n")
    assert kernel.built(source, tmp_path / "cache", linux, {}) != made
    wanted, patches = kernel.options("SMP\n"), [linux / "ours.patch"]
    keys = [
        kernel.key(source, wanted, patches, {}), kernel.key(source, wanted, patches, {"gcc": "13"}),
        kernel.key(source, wanted, [], {}), kernel.key(linux / "ours.patch", wanted, patches, {}),
        kernel.key(source, kernel.options("-SMP\n"), patches, {}),
    ]  # fmt: skip
    assert len(set(keys)) == 5


@pytest.mark.parametrize(
    ("config", "patch", "said"),
    [
        ("LOST\n", PATCH, "came out with another LOST"),
        ("-MODULE\nSMP\n", PATCH, "knows no option MODULE$"),
        ("SMP\n", PATCH.replace("Debian's", "another's"), "`patch .*failed"),
        ("SMP\n", PATCH + "--- /dev/null\n+++ b/broken\n@@ -0,0 +1 @@\n+x\n", r"not built: some\.c:1: error"),
    ],
)
def test_what_does_not_come_out_as_wanted_is_no_kernel(tmp_path, source, linux, config, patch, said):
    (linux / "config.txt").write_text(config)
    (linux / "ours.patch").write_text(patch)
    with pytest.raises(wheels.NotBuildable, match=said):
        kernel.built(source, tmp_path / "cache", linux, {})
    assert list((tmp_path / "cache").iterdir()) == []


def test_another_compiler_is_refused_before_anything_is_unpacked(tmp_path, source, linux):
    with pytest.raises(wheels.NotBuildable, match=r"gcc 1\.0 is needed, of Debian 12; here is gcc"):
        kernel.built(source, tmp_path / "cache", linux, {"gcc": "gcc 1.0"})
    with pytest.raises(wheels.NotBuildable, match=r"needed, of Debian 12; here is .*not found"):
        kernel.same_tools({"no-such-compiler": "1"})


@pytest.mark.parametrize("text", ["SMP\n-SMP\n", "smp\n", "-NAME=3\n", "NAME=\n", "A B\n", "NAME=x\n"])
def test_a_line_that_is_no_option_is_refused(text):
    with pytest.raises(wheels.NotBuildable, match="is no option, or twice"):
        kernel.options(text)


def test_the_projects_own_configuration_shuts_what_the_page_says():
    wanted = {one.name: one.value for one in kernel.options((kernel.LINUX / "config.txt").read_text())}
    off = {name for name, value in wanted.items() if value is None}
    assert off >= {
        "MODULES", "KEXEC", "KEXEC_FILE", "ACPI_TABLE_UPGRADE", "ACPI_CONFIGFS", "ACPI_PRMT",
        "ACPI_SPCR_TABLE", "DEVMEM", "DEVPORT", "PROC_KCORE", "DEBUG_FS", "MAGIC_SYSRQ", "COREDUMP",
        "SWAP", "IO_URING",
        "FUSE_FS", "NET_9P", "VSOCKETS", "VIRTIO_BALLOON", "VIRTIO_MEM", "VIRTIO_CONSOLE", "HW_RANDOM",
        "VMGENID", "HOTPLUG_PCI", "MEMORY_HOTPLUG", "ACPI_PROCESSOR", "SERIAL_8250", "VT", "INPUT",
        "USB_SUPPORT", "DMI", "TCG_TPM", "EFIVAR_FS", "FW_CFG_SYSFS",
    }  # fmt: skip
    on = {name for name, value in wanted.items() if value == "y"}
    assert on >= {
        "AMD_MEM_ENCRYPT", "INTEL_TDX_GUEST", "SEV_GUEST", "TDX_GUEST_DRIVER", "TSM_REPORTS", "DM_VERITY",
        "DM_CRYPT", "DM_INTEGRITY", "EROFS_FS_ZIP", "VIRTIO_BLK", "VIRTIO_NET", "SECURITY_LOCKDOWN_LSM",
        "SECCOMP_FILTER",
        "CPU_MITIGATIONS", "RANDOMIZE_BASE", "INIT_ON_ALLOC_DEFAULT_ON", "PANIC_ON_OOPS",
    }  # fmt: skip


def test_one_patch_refuses_tables_the_memory():
    (patch,) = kernel.LINUX.glob("*.patch")
    text = patch.read_text()
    assert re.findall(r"^\+\+\+ b/(.*)$", text, re.MULTILINE) == [
        "drivers/acpi/osl.c",
        "include/acpi/acpi_io.h",
    ]
    assert "+#define should_use_kmap" not in text
    assert re.search(r"^\+ +return acpi_may_map\(phys, size\) \? ioremap_cache", text, re.MULTILINE)


BUILDING = """
import sys, pathlib
sys.path[:0] = sys.argv[3:]
import kernel
kernel.built(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
"""


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_two_builds_are_one_kernel(tmp_path):
    """That of the cache, and one of another folder, umask, locale and number of processors."""
    first, other = the_kernel(), tmp_path / "a folder" / "further in"
    folders = [FOLDER, ROOT / "deploy/debian", ROOT / "deploy/setup"]
    argv = ["taskset", "-c", "0", sys.executable, "-c", BUILDING, the_source(), other, *folders]
    environment = {**os.environ, "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "KCFLAGS": "-O1"}
    subprocess.run(argv, check=True, umask=0o077, env=environment)
    assert (other / first.name / "vmlinuz").read_bytes() == (first / "vmlinuz").read_bytes()
    assert (other / first.name / "config").read_bytes() == (first / "config").read_bytes()
