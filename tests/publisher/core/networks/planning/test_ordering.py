# SPDX-License-Identifier: Apache-2.0
"""Which steps run when: removals, what waits, what comes, and one change at a time."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.publisher.core.networks.test_plan import node
from trustedpods.publisher.core.networks.plan import NodeStep
from trustedpods.publisher.core.networks.planning.ordering import MOST_AT_ONCE, Ordering


def step(doing, name):
    return NodeStep(doing, name, "k1", "why")


def rounds(steps, *nodes):
    """Names by rounds, where all that was begun ends before the next is asked for."""
    ordering, found = Ordering.of(steps, nodes), []
    while len(ordering.done) < len(ordering.steps):
        ordering, begun = ordering.begin()
        assert begun, "something is always to be done, or running"
        found.append([ordering.steps[number].node for number in begun])
        for number in begun:
            ordering = ordering.ended(number)
    assert ordering.begin()[1] == ()
    return found


def after(name, *names):
    return replace(node(name), after=names)


def test_seven_nodes_come_in_three_rounds():
    five = [f"n{number}" for number in range(5)]
    nodes = [after("web", *five), *[after(one, "boot") for one in five], after("boot")]
    steps = [step("deploy", one.name) for one in nodes]
    assert rounds(steps, *nodes) == [["boot"], five, ["web"]]


def test_removals_come_first_and_changes_one_at_a_time():
    nodes = [after("a"), after("b"), after("c"), after("d", "a")]
    steps = [
        step("update", "a"),
        step("update", "b"),
        step("deploy", "c"),
        step("remove", "x"),
        step("deploy", "d"),
    ]
    assert rounds(steps, *nodes) == [["x"], ["a", "c"], ["b", "d"]]


def test_what_is_gone_on_with_runs_side_by_side_and_beside_no_change():
    nodes = [after(one) for one in "abc"]
    assert rounds([step("go on", "a"), step("update", "b"), step("go on", "c")], *nodes) == [
        ["a", "c"],
        ["b"],
    ]


def test_no_more_than_so_many_at_once():
    nodes = [after(f"n{number}") for number in range(2 * MOST_AT_ONCE + 1)]
    found = rounds([step("deploy", one.name) for one in nodes], *nodes)
    assert [len(one) for one in found] == [MOST_AT_ONCE, MOST_AT_ONCE, 1]


@given(st.lists(st.sampled_from(["deploy", "update", "go on", "remove"]), max_size=20), st.randoms())
def test_every_plan_comes_to_its_end_in_order_whatever_ends_first(doings, dice):
    steps = [step(doing, f"n{number}") for number, doing in enumerate(doings)]
    nodes = [
        after(one.node, *[f"n{before}" for before in range(number) if dice.random() < 0.3])
        for number, one in enumerate(steps)
        if one.doing != "remove"
    ]
    ordering = Ordering.of(steps, nodes)
    waits = {one.name: one.after for one in nodes}
    running: list[int] = []
    ended: list[str] = []
    while len(ordering.done) < len(steps):
        ordering, begun = ordering.begin()
        running += begun
        assert running
        assert len(running) <= MOST_AT_ONCE
        assert [steps[one].doing for one in running].count("update") <= 1
        for number in begun:
            wanted = {
                name for name in waits.get(steps[number].node, ()) if name in {one.node for one in steps}
            }
            assert wanted <= set(ended)
        number = running.pop(random.Random(dice.random()).randrange(len(running)))
        ended.append(steps[number].node)
        ordering = ordering.ended(number)
