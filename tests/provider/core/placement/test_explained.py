# SPDX-License-Identifier: Apache-2.0
"""Each capability is told once, as it is advertised, with the setting that decides and what is missing."""

from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.units import Resources
from trustedpods.provider.core.placement.explained import OfferState, explained
from trustedpods.provider.core.placement.nodes import NodePlace
from trustedpods.provider.core.placement.offered import Allowed, ClusterFeatures, capabilities

NAMES = ("a", "b", "c")
SOME = st.sets(st.sampled_from(NAMES))
NODES = st.lists(
    st.builds(
        NodePlace,
        st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["x", "y"])),
        st.just(()),
        st.builds(Resources, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
        SOME.map(frozenset),
    ),
    max_size=3,
).map(lambda nodes: {str(number): node for number, node in enumerate(nodes)})
FOUND = st.builds(
    ClusterFeatures,
    NODES,
    st.dictionaries(st.sampled_from(NAMES), st.booleans()),
    SOME.map(frozenset),
    st.sampled_from(["", "plain"]),
)
ALLOWED = st.builds(
    Allowed,
    st.dictionaries(st.sampled_from(NAMES), st.just(["ReadWriteOnce"])),
    SOME.map(tuple),
    SOME.map(tuple),
    st.dictionaries(st.sampled_from(NAMES), st.just(())),
    st.booleans(),
)
SAID = {OfferState.ADVERTISED, OfferState.GONE}
COULD = {OfferState.ADVERTISED, OfferState.APPEARED}


def names(offered):
    """Everything of a profile that has a name, and what is switched on."""
    switches = (
        "default_class", "udp", "node_port", "load_balancer", "names", "smtp", "own_sleep", "user_namespaces",
    )  # fmt: skip
    return {
        *(("storage class", one.name) for one in offered.storage_classes),
        *(("ingress class", one.name) for one in offered.ingress_classes),
        *(("CSI driver", name) for name in offered.csi_drivers),
        *(("node label", key) for key in offered.node_labels),
        *(("switch", name) for name in switches if getattr(offered, name)),
    }


@given(FOUND, FOUND, ALLOWED, ALLOWED)
def test_the_states_say_exactly_what_is_advertised_and_what_would_be(before, now, allowed, later):
    advertised, would = capabilities(before, allowed), capabilities(now, later)
    rows = explained(advertised, now, later)
    told = [(row.kind, row.name) for row in rows]
    assert len(set(told)) == len(told)
    named = [row for row in rows if row.kind != "largest node"]
    assert {(row.kind, row.name) for row in named if row.state in SAID} == names(advertised)
    assert {(row.kind, row.name) for row in named if row.state in COULD} == names(would)
    (largest,) = (row for row in rows if row.kind == "largest node")
    same = advertised.largest_node == would.largest_node
    assert (largest.state is OfferState.ADVERTISED) == same


def test_each_says_which_setting_decides_and_what_is_missing():
    node = NodePlace({"zone": "a"}, (), Resources(4000, 512, 10), frozenset({"csi.one"}))
    found = ClusterFeatures({"n1": node, "n2": NodePlace()}, {"fast": True, "spare": False})
    allowed = Allowed({"fast": ["ReadWriteMany"], "old": ["ReadWriteOnce"]}, ("zone", "rack"), ("csi.one",))
    rows = {(row.kind, row.name): row for row in explained(capabilities(found, allowed), found, allowed)}
    fast, old, spare = (rows["storage class", name] for name in ("fast", "old", "spare"))
    assert (fast.state, fast.why) == (
        OfferState.ADVERTISED,
        "cluster.storage_classes allows it: ReadWriteMany; volumes can grow",
    )
    assert old.state is OfferState.MISSING
    assert "no class of this name" in old.why
    assert (spare.state, "does not name it" in spare.why) == (OfferState.CLOSED, True)
    assert "not every node" in rows["CSI driver", "csi.one"].why
    assert rows["node label", "rack"].state is OfferState.MISSING
    assert rows["switch", "udp"].state is OfferState.CLOSED


def test_what_changed_since_the_daemon_began_is_told():
    small = ClusterFeatures({"n": NodePlace({"zone": "a"}, (), Resources(1, 1, 1))}, {"fast": False})
    large = ClusterFeatures({"n": NodePlace({"zone": "b"}, (), Resources(2, 1, 1))}, {"fast": True})
    allowed = Allowed({"fast": ["ReadWriteOnce"]}, ("zone",))
    rows = {row.kind: row for row in explained(capabilities(small, allowed), large, allowed)}
    assert "until the next start" in rows["storage class"].why
    assert "the profile says a until" in rows["node label"].why
    assert rows["largest node"].state is OfferState.APPEARED
    back = {row.kind: row for row in explained(capabilities(large, allowed), small, allowed)}
    assert back["largest node"].state is OfferState.GONE
