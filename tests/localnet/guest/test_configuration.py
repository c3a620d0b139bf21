# SPDX-License-Identifier: Apache-2.0
"""What an operator may say of his machine, and nothing else."""

import json

import pytest

from tests.localnet.guest.configurations import OPERATOR_KEY, written
from trustedpods.localnet.guest.configuration import MAX_BYTES, read_configuration
from trustedpods.protocol.errors import BadInput


def test_a_configuration_is_read_whole(tmp_path):
    file = tmp_path / "configuration.json"
    file.write_text(json.dumps(written()))
    found = read_configuration(file)
    assert found.operator.operator_key == OPERATOR_KEY
    assert (found.operator.trust, found.operator.tee) == ("sealed", "hardware")
    assert found.network.address == "10.0.2.15/24"
    assert found.terms.unlock_s == 60


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ((), "version", 2),
        ((), "cluster", {"kubeconfig": "/run/host.conf"}),
        ((), "store", {"database": "postgresql://host"}),
        ((), "webhooks", {"allow_private": True}),
        ((), "exposure", {"node_ports": True}),
        (("operator",), "keys_dir", "/var/keys"),
        (("operator",), "owner_key", OPERATOR_KEY),
        (("operator",), "tee", "simulated:/run/machine.pem"),
        (("operator",), "tee", "simulated:signer.example:4050"),
        (("operator",), "tee", "simulated:10.0.2.256:4050"),
        (("operator",), "tee", "simulated:10.0.2.100:4050; flush ruleset"),
        (("operator",), "operator_key", OPERATOR_KEY[:-1]),
        (("operator",), "operator_key", OPERATOR_KEY + "\n"),
        (("operator",), "domain", 'x"\n[exposure]'),
        (("operator",), "url_suffix", "/elsewhere"),
        (("operator",), "daemon", "1"),
        (("network",), "address", "10.0.2.15/33"),
        (("network",), "address", "10.201.0.11/24"),
        (("network",), "address", "10.0.0.2/8"),
        (("network",), "address", "127.0.0.1/8"),
        (("operator",), "url_suffix", ":\u0661"),
        (("network",), "gateway", "10.0.2.2; reboot"),
        (("network",), "nameserver", "::1"),
        (("market",), "chain_id", 0),
        (("terms",), "unlock_s", 0),
    ],
)
def test_what_is_the_images_to_say_or_malformed_is_refused_by_name(tmp_path, place, key, value):
    whole = written()
    inner = whole
    for name in place:
        inner = inner[name]
    inner[key] = value
    file = tmp_path / "configuration.json"
    file.write_text(json.dumps(whole))
    with pytest.raises(BadInput) as refused:
        read_configuration(file)
    assert refused.value.where == f"configuration: {'.'.join([*place, key])}"
    assert OPERATOR_KEY not in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "\xff", "{" + " " * MAX_BYTES + "}"])
def test_no_configuration_at_all_is_refused(tmp_path, text):
    file = tmp_path / "configuration.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput):
        read_configuration(file)


@pytest.mark.parametrize(
    "twice",
    [
        '{"version": 2, ',
        '{"network": {"address": "192.0.2.1/24"}, ',
        '{"Version": 2, ',
    ],
)
def test_a_key_that_stands_there_twice_is_refused(tmp_path, twice):
    file = tmp_path / "configuration.json"
    file.write_text(twice + json.dumps(written())[1:])
    with pytest.raises(BadInput, match="names a field twice"):
        read_configuration(file)


def test_a_deep_configuration_is_refused(tmp_path):
    file = tmp_path / "configuration.json"
    file.write_text('{"a":' + "[" * 30000 + "]" * 30000 + "}")
    with pytest.raises(BadInput, match="nested deeper"):
        read_configuration(file)


def test_a_key_is_not_in_what_is_printed_of_a_configuration(tmp_path):
    file = tmp_path / "configuration.json"
    file.write_text(json.dumps(written()))
    assert OPERATOR_KEY not in repr(read_configuration(file))
