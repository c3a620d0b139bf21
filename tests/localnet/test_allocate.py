# SPDX-License-Identifier: Apache-2.0
"""Where a new localnet goes: not where others are, whatever version of this software made those."""

import json

import pytest

from trustedpods.localnet import allocate, folders
from trustedpods.localnet.settings import TCP_PORTS, Knobs

PORTS = {"chain": 18100, "http": 18101, "registry": 18102, "metrics": 18103, "peer": 18104, "tcp": 18200}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "home", lambda: tmp_path)
    return tmp_path


def other(home, text):
    (home / "other").mkdir()
    (home / "other" / "localnet.json").write_text(text)


def test_ports_of_a_localnet_of_a_newer_version_are_kept_free(home):
    other(
        home, json.dumps({"version": 9, "knob_of_tomorrow": True, "clusters": [{"index": 1, "ports": PORTS}]})
    )
    taken = allocate._ports_of_others()
    assert set(PORTS.values()) <= taken
    assert set(range(18200, 18200 + TCP_PORTS)) <= taken


@pytest.mark.parametrize("text", ["", "[]", '{"clusters": 1}'])
def test_a_file_that_is_no_localnets_holds_nobody_up(home, text, caplog):
    other(home, text)
    made = allocate.allocate("mine", 1, home / "kubeconfig", Knobs())
    assert made.clusters[0].ports.http > 0
    assert "no settings of a localnet" in caplog.text
