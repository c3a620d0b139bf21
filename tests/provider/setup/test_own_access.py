# SPDX-License-Identifier: Apache-2.0
"""The daemon's user cannot read the cluster's kubeconfig, such as k3s' of root: it gets one of its own."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.setup.site import FakeSite
from tests.provider.setup.test_procedure import answers, setup, site, states
from trustedpods.provider.setup.answers import answered
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
    assert own.read_text() == f"the daemon's own, by {told.kubeconfig}\n"
    found = own.stat()
    assert (found.st_mode & 0o777, found.st_gid) == (0o640, SOMEBODY.gid)
    assert not [line for line in result.to_do if "cannot read" in line]
    again = await set_up(on_machine, answered())
    assert "kubeconfig" not in states(again)
    assert set(states(again).values()) == {"unchanged"}


async def test_by_rights_that_make_no_roles_somebody_else_has_to(as_on_k3s, site: FakeSite):
    on_machine, told = as_on_k3s
    result = await set_up(on_machine, told)
    assert result.config.cluster.kubeconfig == told.kubeconfig
    assert [line for line in result.to_do if f"cannot read {told.kubeconfig}" in line]
    assert not (on_machine.config_path.parent / "kubeconfig").exists()
