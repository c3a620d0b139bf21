# SPDX-License-Identifier: Apache-2.0
"""Names of one's own pods, and the marks that tell one publisher's from another's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.provider.pods import a_manifest
from trustedpods.manifests.spec.egress import Network
from trustedpods.protocol.ids import Address
from trustedpods.provider.core.names.own_pods import (
    CALLS,
    MAY,
    NAMED,
    OwnHost,
    mark,
    marked,
    marks,
    own_host,
)

ALICE, BOB = Address("0x" + "a1" * 20), Address("0x" + "b0" * 20)
NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)


@given(NAMES, NAMES)
def test_a_service_and_its_pod_are_read_from_a_name(service, pod):
    assert own_host(f"{service}.{pod}.internal") == OwnHost(service, pod)


@pytest.mark.parametrize(
    "host",
    [
        "", "internal", ".internal", "nodes.internal", "a.b.c.internal", "rpc.nodes", "rpc.nodes.internal.",
        "rpc.nodes.internal.example", "rpc.-nodes.internal", "_tcp.nodes.internal", "rpc.nodes.xinternal",
        "rpc.nodes.internal\n", "rpc." + "n" * 64 + ".internal",
    ],
)  # fmt: skip
def test_other_names_are_none(host):
    assert own_host(host) is None


def test_a_mark_is_of_one_publisher_and_one_name_and_fits_into_a_label():
    found = {mark(owner, name) for owner in (ALICE, BOB) for name in ("nodes", "web")}
    assert len(found) == 4
    assert all(len(one) == 40 for one in found)
    assert mark(Address(ALICE.upper().replace("X", "x")), "nodes") == mark(ALICE, "nodes")


def test_a_namespace_says_which_pod_it_is_and_whom_it_calls():
    rules = [{"to": [{"pod": "nodes"}, {"host": "api.example.org"}]}, {"to": [{"pod": "nodes"}]}]
    network = Network.model_validate({"egress": rules})
    assert marked(ALICE, network) == {"nodes": mark(ALICE, "nodes")}
    manifest = a_manifest(network={"egress": rules})
    assert marks(ALICE, manifest) == {
        NAMED: mark(ALICE, "publishers-own-name"),
        CALLS + mark(ALICE, "nodes"): MAY,
    }
