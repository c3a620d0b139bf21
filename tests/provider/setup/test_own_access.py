# SPDX-License-Identifier: Apache-2.0
"""The daemon's user cannot read the cluster's kubeconfig, such as k3s' of root: it gets one of its own."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.setup.site import FakeSite
from tests.provider.setup.test_procedure import answers, setup, site, states
from trustedpods.protocol.errors import BadInput
from trustedpods.provider.setup.answers import answered
from trustedpods.provider.setup.asking import Asking, may_make_account
from trustedpods.provider.setup.daemon_account import is_accounts, kubeconfig_text
from trustedpods.provider.setup.files import ServiceUser
from trustedpods.provider.setup.procedure import set_up

__all__ = ["answers", "setup", "site"]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="it is about files of root that others cannot read")
SOMEBODY = ServiceUser(65_534, 65_534)


@pytest.fixture
def folder():
    """One that everybody may enter, as /etc is: pytest's own are root's alone."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def as_on_k3s(setup, answers, folder):
    """The settings' folder, a daemon's user who is not root, and root's kubeconfig."""
    roots = folder / "k3s.yaml"
    roots.write_text("")
    roots.chmod(0o600)
    on_machine = replace(setup, config_path=folder / "etc/provider.toml", user=SOMEBODY)
    return on_machine, answered(kubeconfig=str(roots)).over(answers)


async def test_it_is_made_by_roots_rights_and_the_settings_name_it(as_on_k3s, site: FakeSite):
    on_machine, told = as_on_k3s
    site.admin = True
    result = await set_up(on_machine, told)
    own = on_machine.config_path.parent / "kubeconfig"
    assert result.config.cluster.kubeconfig == str(own)
    assert site.accounts == [told.kubeconfig]
    assert is_accounts(own.read_text())
    assert [line for line in result.facts if "kube-system/trustedpods-provider" in line and "no end" in line]
    found = own.stat()
    assert (found.st_mode & 0o777, found.st_gid) == (0o640, SOMEBODY.gid)
    assert not [line for line in result.to_do if "cannot read" in line]
    again = await set_up(on_machine, answered())
    assert site.accounts == [told.kubeconfig]
    assert "kubeconfig" not in states(again)
    assert set(states(again).values()) == {"unchanged"}


async def test_by_rights_that_make_no_roles_somebody_else_has_to(as_on_k3s, site: FakeSite):
    on_machine, told = as_on_k3s
    result = await set_up(on_machine, told)
    assert result.config.cluster.kubeconfig == told.kubeconfig
    (line,) = [one for one in result.to_do if f"cannot read {told.kubeconfig}" in one]
    assert "none was made: clusterroles is forbidden" in line
    assert not (on_machine.config_path.parent / "kubeconfig").exists()


async def test_a_kill_before_its_user_could_read_it_is_made_good_without_an_administrator(
    as_on_k3s, site: FakeSite
):
    on_machine, told = as_on_k3s
    own = on_machine.config_path.parent / "kubeconfig"
    own.parent.mkdir()
    own.write_text(kubeconfig_text("https://10.0.0.2:6443", b"PEM", b"a.b.c"))
    own.chmod(0o600)
    result = await set_up(on_machine, answered(kubeconfig=str(own)).over(told))
    assert site.accounts == []
    assert states(result)["kubeconfig"] == "unchanged"
    assert (own.stat().st_mode & 0o777, own.stat().st_gid) == (0o640, SOMEBODY.gid)
    assert not [line for line in result.to_do if "cannot read" in line]


@pytest.mark.parametrize("named", ["by its own path", "by another"])
async def test_one_that_was_made_by_hand_stays_as_it_is(as_on_k3s, site: FakeSite, named: str):
    on_machine, told = as_on_k3s
    site.admin = True
    own = on_machine.config_path.parent / "kubeconfig"
    own.parent.mkdir()
    own.write_text("current-context: administrator\n")
    own.chmod(0o600)
    path = str(own) if named == "by its own path" else told.kubeconfig
    result = await set_up(on_machine, answered(kubeconfig=path).over(told))
    assert site.accounts == []
    assert (own.read_text(), own.stat().st_mode & 0o777) == ("current-context: administrator\n", 0o600)
    (line,) = [one for one in result.to_do if "cannot read" in one]
    assert f"{own} is there" in line


async def test_nothing_is_made_in_a_cluster_before_the_rest_of_the_answers_will_do(as_on_k3s, site: FakeSite):
    on_machine, told = as_on_k3s
    site.admin, site.address = True, None  # no address to listen at
    with pytest.raises(BadInput):
        await set_up(on_machine, told)
    assert site.accounts == []


FOUND = "/etc/rancher/k3s/k3s.yaml"


@pytest.mark.parametrize(
    ("asking", "named", "may"),
    [
        (Asking(), False, False),
        (Asking(usual=True), False, True),
        (Asking(), True, True),
        (Asking(lambda _question, usual: usual or ""), False, True),
        (Asking(lambda _question, _usual: "no"), True, False),
    ],
)
def test_a_cluster_that_was_only_found_is_not_changed_unasked(asking, named, may):
    assert may_make_account(asking, FOUND, named=named) is may


async def test_who_was_not_asked_reads_how_to_agree(as_on_k3s, site: FakeSite, monkeypatch):
    on_machine, told = as_on_k3s
    site.admin = True
    monkeypatch.setenv("KUBECONFIG", told.kubeconfig)
    first = await set_up(on_machine, told.model_copy(update={"kubeconfig": None}))
    again = await set_up(on_machine, answered())  # the settings name it, and nobody agreed
    assert site.accounts == []
    for result in (first, again):
        assert [line for line in result.to_do if "none was made: --yes makes one" in line]
    assert (await set_up(replace(on_machine, asking=Asking(usual=True)), answered())).config.cluster != (
        first.config.cluster
    )
    assert site.accounts == [told.kubeconfig]
