# SPDX-License-Identifier: Apache-2.0
"""A provider opens of a book what is the world's, or node ports where its operator says so."""

import pytest

from tests.protocol.networks.books import a_book, entry
from trustedpods.manifests.spec.egress import Network
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.provider.core.egress import NOT_THE_WORLD
from trustedpods.provider.core.networks.book import adds_to, as_it_counts, check_book, newer, opened

PEERS = ("10.9.0.0/24",)
NOW = 1_700_000_000


def check(book, nodes=("b",), peers=PEERS, linked=0):
    check_book(book, Network(nodes=list(nodes), linkedNodes=linked), NOT_THE_WORLD, peers, NOW)


def test_the_book_is_of_the_nodes_that_are_called():
    check(a_book())
    check(None, ())
    for book, nodes in ((None, ("b",)), (a_book(), ()), (a_book(), ("b", "c")), (a_book(), ("c",))):
        with pytest.raises(BadInput, match="not of the nodes"):
            check(book, nodes)


def test_so_many_nodes_of_other_owners_come_and_go_as_the_pod_asks_for():
    two = a_book(entry("b"), entry("guest-one", published=31001))
    check(two, linked=1)
    check(a_book(), linked=1)
    check(a_book(entry("guest-one")), (), linked=1)
    for book, linked in ((two, 0), (None, 1), (a_book(entry("guest-one"), entry("guest-two")), 1)):
        with pytest.raises(BadInput, match="not of the nodes"):
            check(book, linked=linked)


@pytest.mark.parametrize("address", ["10.1.2.3", "127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"])
def test_what_is_closed_to_pods_no_book_opens(address):
    with pytest.raises(Refused, match="closed") as caught:
        check(a_book(entry(address=address)))
    assert (caught.value.rule, "`peers`" in caught.value.hint) == ("closed-node", True)


def test_all_that_is_closed_is_named_so_that_a_book_without_it_is_taken():
    closed = [f"guest-n{number:02}" for number in range(10)]
    book = a_book(entry(), *(entry(name, address="10.1.2.3") for name in closed), entry("h", published=25))
    with pytest.raises(Refused, match=r"guest-n00 at 10\.1\.2\.3:\d+: this provider keeps") as caught:
        check(book, ("b",), linked=11)
    assert caught.value.where == ", ".join(closed[:8])
    with pytest.raises(Refused, match="a port of mail") as caught:
        check(a_book(entry(), entry("h", published=25)), ("b", "h"))
    assert caught.value.where == "h"


def test_a_key_has_one_form():
    key = bytes.fromhex("302a300506032b6570032100") + bytes(range(32))
    check(a_book(entry(identity=key)))
    check(a_book(entry(identity=b"\x02\xab")))
    point = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
    short = bytes.fromhex("3036301006072a8648ce3d020106052b8104000a032200") + point
    with pytest.raises(BadInput, match="node b is known by is a key in another form"):
        check(a_book(entry(identity=short)))


def test_of_peers_networks_node_ports_are_open():
    check(a_book(entry(address="10.9.0.12", published=30000)))
    for port in (6443, 10250, 29999, 32768):
        with pytest.raises(Refused, match="closed"):
            check(a_book(entry(address="10.9.0.12", published=port)))
    with pytest.raises(Refused, match="closed"):
        check(a_book(entry(address="10.9.0.12")), peers=())


@pytest.mark.parametrize("port", [25, 465, 587])
def test_no_node_is_called_at_a_port_of_mail(port):
    with pytest.raises(Refused, match="a port of mail"):
        check(a_book(entry(published=port)))


def test_hosts_and_what_nobody_confirmed_open_nothing():
    book = a_book(entry("b", address="b.example"), entry("c", address=""), entry("d"))
    assert [one.node for one in opened(book)] == ["d"]


def test_the_newer_of_two_counts():
    old, new = a_book(generation=1), a_book(generation=2)
    assert newer(old, new) == newer(new, old) == newer(None, new) == newer(new, None) == new
    assert newer(None, None) is None


def test_of_two_books_of_one_age_the_one_with_more_addresses_counts_whichever_came_first():
    whole, part = a_book(entry(), generation=2), a_book(entry(address=""), generation=2)
    assert adds_to(part, whole)
    assert not adds_to(whole, part)
    assert newer(whole, part) == newer(part, whole) == whole
    other = a_book(entry(published=30009), generation=2)
    assert not adds_to(whole, other)
    assert newer(whole, other) == other
    assert not adds_to(part, a_book(entry(), generation=3))
    assert not adds_to(part, a_book(entry(), entry("c"), generation=2))


KNOWN, STRANGE = b"\x02\xab", b"\x03\xcd"
PLACES = {"": "", "here": "192.0.2.7", "there": "192.0.2.8"}


@pytest.mark.parametrize("identity", [b"", KNOWN, STRANGE])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("before", [("", b""), ("", KNOWN), ("here", b""), ("here", KNOWN)])
def test_only_a_port_of_which_nothing_is_known_is_added_to_and_only_with_an_address(before, place, identity):
    """A forked state of the same generation brings no other identity, nor takes one away."""
    kept = a_book(entry(address=PLACES[before[0]], identity=before[1]), generation=2)
    given = a_book(entry(address=PLACES[place], identity=identity), generation=2)
    adds = before == ("", b"") and place != ""
    assert adds_to(kept, given) == (adds or before == (place, identity))
    assert newer(given, kept) == (given if adds else kept)


def test_a_book_of_a_later_epoch_counts_whatever_its_generation():
    old, new = a_book(epoch=1, generation=50), a_book(entry(address=""), epoch=2, generation=1)
    assert newer(old, new) == newer(new, old) == new


def test_a_book_of_an_absurd_epoch_is_refused_and_one_that_was_taken_before_gives_way():
    with pytest.raises(Refused, match="ahead of the clock") as caught:
        check(a_book(epoch=1 << 63))
    assert caught.value.rule == "epoch"
    kept, new = a_book(epoch=1 << 63, generation=1 << 63), a_book(entry(address=""), epoch=NOW)
    assert newer(as_it_counts(kept, NOW), new) == new
    assert as_it_counts(new, NOW) == new
    assert as_it_counts(None, NOW) is None
