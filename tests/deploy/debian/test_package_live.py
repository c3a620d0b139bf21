# SPDX-License-Identifier: Apache-2.0
"""The real package on a Debian 12: installed by apt, tried, removed, purged; and under its systemd."""

import sqlite3
import subprocess
from contextlib import closing

import pytest

from tests.deploy.debian.machine import Machine
from tests.deploy.debian.packages import deb, staging, wheels
from tests.paths import ROOT

pytestmark = pytest.mark.timeout(1800)
"""The first one builds two packages before it begins: 10 minutes of a machine that others keep busy."""

INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends /opt/*.deb"
LOGS = {"var/log/apt", "var/log/dpkg.log", "var/log/alternatives.log", "var/cache/apt", "var/lib/apt"}
"""dpkg's and apt's own, which every install writes."""

UNITS = ("registry", "activator", "haproxy", "provider", "netpol", "tunnel", "termination-logs")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Built as `make deb` does."""
    out = tmp_path_factory.mktemp("deb")
    return deb.package(ROOT, deb.parts_of(ROOT, out), out)


@pytest.fixture
def machine(tmp_path, package):
    fresh = Machine(tmp_path / "machine")
    (fresh.root / "opt" / package.name).write_bytes(package.read_bytes())
    return fresh


def of_ours(names):
    return {name for name in names if not any(name == log or name.startswith(f"{log}/") for log in LOGS)}


@pytest.mark.live
def test_it_is_installed_works_is_removed_and_purged_and_nothing_is_left(machine):
    before, users = machine.files(), machine.text(["etc/passwd", "etc/group"])
    installed = machine.run(INSTALL)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    helped = machine.run("trustedpods-provider --help")
    assert (helped.returncode, "setup" in helped.stdout) == (0, True), helped.stderr
    doctor = machine.run("trustedpods-provider doctor")
    assert (doctor.returncode, "/etc/trustedpods/provider.toml" in doctor.stderr) == (2, True), doctor.stderr
    asked = machine.run("trustedpods-provider setup --yes")
    assert (asked.returncode, "kubeconfig" in asked.stderr) == (2, True), asked.stderr
    whole = machine.run("cd /usr/lib/trusted-pods && bin/python3 -I -c 'import trustedpods.provider.daemon'")
    assert whole.returncode == 0, whole.stderr
    assert machine.run("dpkg --verify trusted-pods-provider").stdout == ""
    _keep(machine)
    assert machine.run("apt-get remove --yes trusted-pods-provider").returncode == 0
    left = of_ours(machine.files() - before)
    assert {"etc/trustedpods/provider.toml", "var/lib/trustedpods/store.db"} <= left
    assert [name for name in left if name.startswith("usr/")] == []
    purged = machine.run("apt-get purge --yes trusted-pods-provider")
    assert purged.returncode == 0, purged.stdout + purged.stderr
    assert of_ours(machine.files() ^ before) == set()
    assert machine.text(["etc/passwd", "etc/group"]) == users


def _keep(machine: Machine) -> None:
    """What a set-up and a start would have written, and a unit enabled."""
    kept = "mkdir -p /etc/trustedpods && touch /etc/trustedpods/provider.toml /var/lib/trustedpods/store.db"
    assert machine.run(f"{kept} && systemctl enable trustedpods-provider").returncode == 0


@pytest.mark.live
@pytest.mark.soak
def test_one_that_cannot_read_the_books_is_refused_and_nothing_is_changed(machine):
    assert machine.run(INSTALL).returncode == 0
    (machine.root / "etc/trustedpods").mkdir()
    (machine.root / "etc/trustedpods/provider.toml").write_text(
        '[store]\npath = "/var/lib/trustedpods/store.db"\n'
    )
    with closing(sqlite3.connect(machine.root / "var/lib/trustedpods/store.db")) as made, made:
        made.execute("CREATE TABLE alembic_version (version_num TEXT)")
        made.execute("INSERT INTO alembic_version VALUES ('9999')")
    before = machine.files()
    refused = machine.run(INSTALL.replace("install", "install --reinstall", 1))
    assert refused.returncode != 0
    assert "the books in /var/lib/trustedpods/store.db are of schema 9999" in refused.stderr + refused.stdout
    assert of_ours(machine.files() ^ before) == set()
    state = machine.run("dpkg-query --show --showformat '${Status}' trusted-pods-provider")
    assert state.stdout == "install ok installed"
    assert machine.run("trustedpods-provider --help").returncode == 0
    assert machine.run("dpkg --verify trusted-pods-provider").stdout == ""


ON_A_RUNNING_SYSTEM = f"""\
{INSTALL} > /root/install.log 2>&1 && echo installed
for unit in {" ".join(UNITS)}; do
    systemctl start trustedpods-$unit
    systemctl show --value -p Id -p ActiveState -p ConditionResult trustedpods-$unit | tr '\\n' ' '; echo
done
mkdir -p /etc/trustedpods && echo 'version: 0.1
storage: {{filesystem: {{rootdirectory: /var/lib/trustedpods/registry}}}}
http: {{addr: 127.0.0.1:5001}}' > /etc/trustedpods/registry.yaml
systemctl enable --now trustedpods-registry 2>&1
sleep 1
systemctl is-active trustedpods-registry
systemctl show --value -p MainPID trustedpods-registry > /root/first
apt-get install --yes --reinstall /opt/*.deb > /root/again.log 2>&1 && echo upgraded
systemctl show --value -p MainPID trustedpods-registry | cmp - /root/first && echo goes-on
systemctl --failed --no-legend
apt-get purge --yes trusted-pods-provider > /root/purge.log 2>&1 && echo purged
systemctl list-units --all --no-legend 'trustedpods*'
"""


@pytest.mark.soak
def test_its_units_wait_for_the_set_up_and_one_that_has_its_settings_runs(machine):
    before = machine.files()
    printed = machine.started(ON_A_RUNNING_SYSTEM).splitlines()
    assert printed[0] == "installed", machine.text(["root/install.log"])
    assert len(printed) > len(UNITS), printed
    waiting = {
        frozenset(line.split()) for line in printed[1 : len(UNITS) + 1]
    }  # systemd prints properties in its own order
    assert waiting == {frozenset((f"trustedpods-{unit}.service", "inactive", "no")) for unit in UNITS}
    assert printed[-4:] == ["active", "upgraded", "goes-on", "purged"], printed
    left = {name for name in of_ours(machine.files() - before) if "trusted" in name}
    assert left == set()


@pytest.mark.soak
def test_the_same_commit_makes_the_same_bytes_in_another_folder(package, tmp_path):
    again = deb.package(ROOT, deb.parts_of(ROOT, tmp_path), tmp_path)
    assert again.read_bytes() == package.read_bytes()


@pytest.mark.soak
def test_what_is_compiled_here_is_the_same_compiled_again(package, tmp_path):
    wanted = wheels.requirements((ROOT / "deploy/setup/hashes.txt").read_text(), wheels.installed())
    wheels.compiled(wanted, ROOT / "deploy/debian/files/build-tools.txt", tmp_path / "wheels")
    made = sorted((tmp_path / "wheels").glob("*.whl"))
    assert len(made) == len(wanted.sources.splitlines())
    for wheel in made:
        staging.unpack(wheel, package.parent / "tree" / staging.SITE)  # refuses what differs


@pytest.mark.soak  # a minute and a half; `make deb` asks lintian too
def test_lintian_finds_nothing(package):
    argv = ["lintian", "--no-cfg", "--allow-root", "--fail-on", "error,warning", str(package)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
