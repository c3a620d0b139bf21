# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given, strategies

from tests.fakes.provider.caller import volume_ask
from trustedpods.protocol.errors import Refused
from trustedpods.provider.core.volumes.growth import (
    StoredVolume,
    check_growth,
    check_kind,
    check_volumes,
    granted,
    growing,
    requests,
)

GROWS = {"elastic": True, "fixed": False}


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ({}, "a volume data, which its newer version lacks"),
        ({"data": 9}, "has 10 MiB, and 9 in the newer version"),
    ],
)
def test_an_update_keeps_every_volume_at_its_size(after, words):
    check_volumes({"data": 10}, {"data": 10, "more": 1})
    check_volumes({"data": 10}, {"data": 11})
    check_volumes({"data": 0}, {"data": 1})
    with pytest.raises(Refused, match=words) as caught:
        check_volumes({"data": 10}, after)
    assert caught.value.rule == "volumes"
    assert caught.value.hint


def test_whoever_wants_less_is_told_what_to_do():
    with pytest.raises(Refused) as caught:
        check_volumes({"data": 10}, {"data": 9})
    assert "copy the data" in str(caught.value.hint)
    assert "delete this one" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["fixed", "unknown", None])
def test_a_class_that_does_not_allow_it_is_named_before_anything_changes(name):
    stored = {"data": StoredVolume(10, 10, name)}
    check_growth({"data": 10, "more": 99}, stored, GROWS)
    with pytest.raises(
        Refused, match=rf"class {name or '.none.'}, whose volumes cannot grow to 11"
    ) as caught:
        check_growth({"data": 11}, stored, GROWS)
    assert caught.value.rule == "volumes"
    check_growth({"data": 11}, {"data": StoredVolume(10, 10, "elastic")}, GROWS)


def test_what_a_class_gave_beyond_what_was_asked_is_neither_billed_nor_growth():
    stored = {"data": StoredVolume(1, 1024, "fixed")}
    check_growth({"data": 1}, stored, GROWS)
    assert granted({"data": 1}, stored) == {"data": 1}
    assert requests({"data": 1}, stored) == {"data": 1}


def test_billing_waits_for_the_grant():
    assert granted({"data": 20, "more": 5}, {"data": StoredVolume(20, 10)}) == {"data": 10, "more": 5}
    assert granted({"data": 20}, {"data": StoredVolume(20, 20)}) == {"data": 20}
    assert granted({"data": 20}, {"data": StoredVolume(20)}) == {"data": 20}, "not bound yet"


@given(strategies.integers(1, 99), strategies.integers(1, 99), strategies.none() | strategies.integers(1, 99))
def test_nothing_shrinks_and_nothing_unasked_is_billed(wanted, asked, given_mib):
    stored = {"data": StoredVolume(asked, given_mib)}
    assert requests({"data": wanted}, stored)["data"] >= max(wanted, asked)
    assert granted({"data": wanted}, stored)["data"] <= asked


def test_growth_is_waited_for_with_what_its_driver_says():
    wanted = {"data": 20}
    late = {"data": StoredVolume(20, 10, trouble="no room")}
    assert growing(wanted, late, before_start=True) == "data has 10 of 20 MiB: no room"
    at_node = {"data": StoredVolume(20, 10, at_node=True)}
    assert growing(wanted, at_node, before_start=True) is None, "the node needs a replica for its part"
    assert growing(wanted, at_node, before_start=False) == "data has 10 of 20 MiB"
    there = {"data": StoredVolume(20), "b": StoredVolume(5, 5)}
    assert growing({"data": 20, "b": 5, "c": 1}, there, before_start=False) is None


def test_a_version_that_wants_no_more_does_not_wait_for_another_s_growth():
    assert growing({"data": 10}, {"data": StoredVolume(20, 10)}, before_start=False) is None


@pytest.mark.parametrize(
    ("storage_class", "mode", "words"),
    [
        ("other", "ReadWriteOnce", "has storageClassName fast, which cannot become other"),
        ("fast", "ReadWriteMany", "has accessMode ReadWriteOnce, which cannot become ReadWriteMany"),
    ],
)
def test_what_a_volume_is_stays_for_its_life(storage_class, mode, words):
    stored = {"data": StoredVolume(1, 1, "fast")}
    check_kind({"data": volume_ask(None), "more": volume_ask("other")}, stored)
    with pytest.raises(Refused, match=words) as caught:
        check_kind({"data": volume_ask(storage_class, mode)}, stored)
    assert caught.value.rule == "volumes"
