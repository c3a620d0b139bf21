# SPDX-License-Identifier: Apache-2.0
"""What the guest's card lets in, as the kernel takes it: in a network namespace of the test's own."""

import json
import os
import subprocess
from ipaddress import IPv4Address
from typing import Any

from tests.localnet.guest.configurations import one_cluster
from trustedpods.localnet.guest.machine_network import PUBLIC, nft_commands

SIGNER = IPv4Address("10.0.2.100")


def loaded(times: int, signer: IPv4Address | None = SIGNER) -> list[dict[str, Any]]:
    """The rules of the kernel after the commands were given so often."""
    words = "; ".join(['nft "$0"'] * times + ["nft -j list ruleset"])
    root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    argv = ["unshare", *root, "--net", "sh", "-euc", words, nft_commands(one_cluster(), signer)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return [entry["rule"] for entry in json.loads(done.stdout)["nftables"] if "rule" in entry]


def test_the_card_lets_in_the_public_ports_and_answers_and_drops_the_rest():
    rules = loaded(1)
    coming = [rule for rule in rules if rule["chain"] == "in"]
    ports = [part["match"]["right"] for rule in coming for part in rule["expr"] if "match" in part]
    assert {"set": sorted(PUBLIC)} in ports
    for chain in ("in", "through"):
        last = [rule for rule in rules if rule["chain"] == chain][-1]
        assert {"drop": None} in last["expr"]
    assert any({"masquerade": None} in rule["expr"] for rule in rules if rule["chain"] == "out")


def test_what_is_forwarded_never_reaches_the_signer():
    """The node's own output, which is the daemon's, does: no rule is about it."""

    def about_it(signer):
        rules = loaded(1, signer)
        return [(rule["chain"], rule["expr"]) for rule in rules if str(SIGNER) in json.dumps(rule)]

    address = {"payload": {"protocol": "ip", "field": "daddr"}}
    drop = [{"match": {"op": "==", "left": address, "right": str(SIGNER)}}, {"drop": None}]
    assert about_it(SIGNER) == [("through", drop)]
    assert next(rule["expr"] for rule in loaded(1) if rule["chain"] == "through") == drop
    assert about_it(None) == []


def test_the_rules_may_be_given_again():
    def meaning(rules):
        return [(rule["chain"], rule["expr"]) for rule in rules]

    assert meaning(loaded(2)) == meaning(loaded(1))
