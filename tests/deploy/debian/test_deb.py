# SPDX-License-Identifier: Apache-2.0
"""The package with stand-ins for what is fetched: where files lie, what dpkg reads, twice the same bytes."""

import hashlib
import re
import shlex
import shutil
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest

from tests.deploy.debian.packages import EPOCH, deb, field, parts
from tests.deploy.test_units import settings
from tests.paths import ROOT
from trustedpods.provider.setup import daemon_account

FILES = ROOT / "deploy" / "debian" / "files"
ALLOWED = re.compile(
    r"usr/lib/trusted-pods/(bin|cni)/[a-z0-9-]+"
    r"|usr/lib/trusted-pods/(pyvenv\.cfg|lib/python3\.11/site-packages/.+)"
    r"|usr/bin/trustedpods-provider"
    r"|lib/systemd/system/trustedpods-[a-z-]+\.service"
    r"|usr/lib/(sysusers|tmpfiles|sysctl)\.d/[0-9-]*trusted-pods-provider\.conf"
    r"|etc/apparmor\.d/trustedpods-provider"
    r"|usr/share/(man/man8|doc/trusted-pods-provider|lintian/overrides)/[^/]+"
)
OF_DEPENDENCIES = {"/usr/sbin/haproxy": "haproxy", "/usr/bin/docker-registry": "docker-registry"}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    return deb.package(ROOT, parts(folder / "parts"), folder / "out")


@pytest.fixture(scope="module")
def tree(package):
    return package.parent / "tree"


def listed(tree: Path):
    found = (path for path in tree.rglob("*") if path.is_symlink() or not path.is_dir())
    return [path.relative_to(tree).as_posix() for path in found]


def test_every_file_lies_where_it_may(tree):
    names = [name for name in listed(tree) if not name.startswith("DEBIAN/")]
    assert [name for name in names if not ALLOWED.fullmatch(name)] == []
    assert "etc/trustedpods/provider.toml" not in names
    assert "usr/lib/trusted-pods/lib/python3.11/site-packages/trustedpods/provider/cli.py" in names
    assert [name for name in names if name.endswith(".pyc")] == []


def test_nothing_tells_where_it_was_built(tree, package):
    words = [str(ROOT).encode(), str(package.parent).encode()]
    telling = [name for name in listed(tree) for word in words if word in _bytes(tree / name)]
    assert telling == []


def _bytes(path):
    return b"" if path.is_symlink() else path.read_bytes()


def test_dpkg_reads_what_it_is_and_needs(package):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert package.name == f"trusted-pods-provider_{version}_amd64.deb"
    assert field(package, "Version") == version
    needed = {one.split()[0] for one in field(package, "Depends").split(", ")}
    assert {"python3", "haproxy", "docker-registry", "systemd"} <= needed
    assert "python3 (<< 3.12)" in field(package, "Depends")  # compiled modules are for 3.11


def test_checksums_and_settings_are_of_all_that_is_there(tree):
    sums = dict(reversed(line.split("  ", 1)) for line in (tree / "DEBIAN/md5sums").read_text().splitlines())
    files = {name for name in listed(tree) if not name.startswith("DEBIAN/")}
    assert set(sums) == {name for name in files if not (tree / name).is_symlink()}
    for name, digest in sums.items():
        assert hashlib.md5((tree / name).read_bytes()).hexdigest() == digest
    assert (tree / "DEBIAN/conffiles").read_text().split() == ["/etc/apparmor.d/trustedpods-provider"]


def test_everything_is_roots_and_of_one_time(package):
    argv = ["dpkg-deb", "--fsys-tarfile", str(package)]
    data = subprocess.run(argv, check=True, capture_output=True).stdout
    (archive := package.parent / "data.tar").write_bytes(data)
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
    assert {(one.uid, one.gid, one.mtime) for one in members} == {(0, 0, EPOCH)}
    assert {one.mode for one in members if not one.issym()} == {0o644, 0o755}


def test_another_folder_makes_the_same_bytes(package, tmp_path):
    again = deb.package(ROOT, parts(tmp_path / "elsewhere"), tmp_path / "other")
    assert again.read_bytes() == package.read_bytes()


def test_what_units_start_is_in_the_package_or_in_one_that_it_needs(tree, package):
    for unit in sorted((tree / "lib/systemd/system").iterdir()):
        for line in settings(unit)["ExecStart"]:
            program, *words = shlex.split(line)
            if program == "/usr/bin/env":
                inside = tree / "usr/lib/trusted-pods/bin" / words[0]
                assert inside.is_symlink() or inside.is_file(), unit.name
            else:
                assert OF_DEPENDENCIES[program] in field(package, "Depends"), unit.name


def test_no_unit_starts_before_a_set_up(tree):
    for unit in (tree / "lib/systemd/system").iterdir():
        (condition,) = settings(unit)["ConditionPathExists"]
        assert condition.startswith(("/etc/trustedpods/", "/var/lib/kubelet"))
        assert not (tree / condition.removeprefix("/")).exists()


def test_pages_that_units_name_are_there(tree):
    for unit in (tree / "lib/systemd/system").iterdir():
        for word in " ".join(settings(unit).get("Documentation", [])).split():
            if word.startswith("file:///"):
                assert (tree / word.removeprefix("file:///")).is_file(), unit.name
            else:
                name, section = re.fullmatch(r"man:([a-z-]+)\((\d)\)", word).groups()
                assert (tree / f"usr/share/man/man{section}/{name}.{section}.gz").is_file(), unit.name


@pytest.mark.skipif(shutil.which("apparmor_parser") is None, reason="no AppArmor on this machine")
def test_apparmor_understands_the_profile_that_the_daemons_unit_names(tree):
    profile = tree / "etc/apparmor.d/trustedpods-provider"
    argv = ["apparmor_parser", "--skip-kernel-load", "--skip-cache", "--names", str(profile)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, ["trustedpods-provider"]), done.stderr
    unit = settings(tree / "lib/systemd/system/trustedpods-provider.service")
    assert unit["AppArmorProfile"] == ["-trustedpods-provider"]


@pytest.mark.parametrize("name", ["preinst", "postinst", "prerm", "postrm"])
def test_a_maintainer_script_ends_at_the_first_failure(name, tree):
    script = tree / "DEBIAN" / name
    assert re.search(r"^set -e$", script.read_text(), re.MULTILINE)
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_purge_says_how_the_account_goes_that_stays_in_the_cluster(tree, tmp_path):
    script, file = (tree / "DEBIAN/postrm").read_text(), tmp_path / "kubeconfig"
    (part,) = re.findall(r"(?ms)^    if grep .*?^    fi$", script)  # the rest would purge this machine
    command = part.replace("/etc/trustedpods/kubeconfig", str(file))

    def said():
        return subprocess.run(["sh", "-ec", command], check=True, capture_output=True, text=True).stdout

    assert said() == ""
    file.write_text("current-context: administrator\n")
    assert said() == ""
    file.write_text(daemon_account.kubeconfig_text("https://10.0.0.1:6443", b"PEM", b"a.b.c"))
    everywhere, inside = (line.split() for line in said().splitlines()[1:])
    kinds = {one["kind"].lower(): one["metadata"].get("namespace") for one in daemon_account.account()}
    assert {kind for kind, namespace in kinds.items() if namespace is None} == set(everywhere[2].split(","))
    assert {kind for kind, namespace in kinds.items() if namespace} == set(inside[4].split(","))
    assert (everywhere[3], inside[5], inside[2]) == (
        daemon_account.NAME, daemon_account.NAME, daemon_account.NAMESPACE,
    )  # fmt: skip


def test_exit_code_2_and_one_line_where_nothing_can_be_built(tmp_path):
    argv = [str(ROOT / ".venv/bin/python"), str(ROOT / "deploy/debian/deb.py")]
    done = subprocess.run(argv, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("error: ")
