# SPDX-License-Identifier: Apache-2.0
"""What honest nodes say is believed whatever the others do, and nothing is believed that too few said."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from trustedpods.contracts.client.endpoints.agreement import (
    BATCH,
    OneAnswer,
    is_flat,
    judge,
    middle,
    newest_shared,
)


def result(value, number=0):
    return {"jsonrpc": "2.0", "id": number, "result": value}


def error(**fields):
    return {"jsonrpc": "2.0", "id": 0, "error": fields}


def said(*values):
    return [OneAnswer(node, value) for node, value in enumerate(values)]


LIES = st.one_of(
    st.builds(
        result, st.one_of(st.none(), st.text(max_size=4), st.integers(), st.lists(st.text(max_size=2)))
    ),
    st.builds(error, code=st.integers(), message=st.text(max_size=8)),
    st.none(),
    st.just("no JSON-RPC"),
)


@settings(max_examples=examples(400), deadline=None)
@given(st.data(), st.integers(1, 7))
def test_the_honest_majority_is_believed_in_whatever_order_they_answer(data, many):
    enough = many // 2 + 1
    answers = [OneAnswer(node, result("0x7e")) for node in range(enough)]
    for node in range(enough, many):
        lie = data.draw(LIES)
        answers.append(OneAnswer(node, lie) if lie is not None else OneAnswer(node, trouble="silent"))
    random.Random(data.draw(st.integers())).shuffle(answers)
    verdict = judge("eth_call", answers, enough)
    assert verdict.believed.value == result("0x7e")
    honest = {one.node for one in answers if one.value == result("0x7e")}
    assert verdict.agreeing == honest
    nothing = {one.node for one in answers if one.value == result(None)}
    assert verdict.differing | verdict.failing.keys() == set(range(many)) - honest - nothing
    assert verdict.answered == len(answers) - len(verdict.failing)


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(st.sampled_from(["0xa", "0xb", "0xc", None]), min_size=1, max_size=7))
def test_nothing_is_believed_that_too_few_said(values):
    enough = len(values) // 2 + 1
    answers = [
        OneAnswer(node, trouble="silent") if value is None else OneAnswer(node, result(value))
        for node, value in enumerate(values)
    ]
    verdict = judge("eth_call", answers, enough)
    counts = [values.count(value) for value in ("0xa", "0xb", "0xc")]
    assert (verdict.believed is not None) == (max(counts) >= enough)
    assert verdict.most_alike == max(counts)
    assert verdict.mute == {node for node, value in enumerate(values) if value is None}


@settings(max_examples=examples(400), deadline=None)
@given(st.integers(0, 50), st.lists(st.integers(0, 10**30), max_size=3), st.integers(0, 2))
def test_the_newest_shared_block_is_of_an_honest_node(height, others, spread):
    """Honest ones are some blocks apart; as many others as fit beside them say what they like."""
    honest = [height, height + spread, *[height + 1] * max(0, len(others) - 1)]
    heights = dict(enumerate([*honest, *others]))
    enough = len(heights) // 2 + 1
    found = newest_shared(heights, enough)
    assert found is not None
    if len(honest) >= enough:
        assert found >= min(honest)
    assert sum(one >= found for one in heights.values()) >= enough
    if len(others) < enough:
        assert found <= max(honest)


def test_too_few_heights_are_none():
    assert newest_shared({0: 5}, 2) is None
    assert newest_shared({0: 5, 2: 9}, 2) == 5


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.integers(1, 100), min_size=2, max_size=4), st.integers())
def test_one_node_moves_an_estimate_no_further_than_to_its_neighbours(honest, lie):
    found = middle([*honest, lie])
    assert min(honest) <= found <= max(honest) or (len(honest) == 1 and found == min(honest[0], lie))


@pytest.mark.parametrize(
    ("method", "one", "other"),
    [
        ("eth_call", "0xAB", "0xab"),
        ("eth_getBlockByNumber", {"hash": "0xa", "miner": "0x1"}, {"hash": "0xA"}),
        ("eth_getLogs", [{"data": "0x", "removed": False}], [{"data": "0x", "blockTimestamp": "0x1"}]),
        (
            "eth_getTransactionReceipt",
            {"status": "0x1", "logs": [{"data": "0x1"}], "type": "0x2"},
            {"status": "0x1", "logs": [{"data": "0x1", "removed": False}]},
        ),
        ("eth_getTransactionByHash", {"input": "0x12", "r": "0x1"}, {"input": "0x12", "yParity": "0x0"}),
    ],
)  # fmt: skip
def test_what_only_some_nodes_tell_parts_nobody(method, one, other):
    assert judge(method, said(result(one), result(other)), 2).believed is not None


@pytest.mark.parametrize(
    ("method", "one", "other"),
    [
        ("eth_getBlockByNumber", {"hash": "0x1", "timestamp": "0x1"}, {"hash": "0x1", "timestamp": "0x2"}),
        ("eth_getTransactionReceipt", {"status": "0x1", "logs": []}, {"status": "0x0", "logs": []}),
        ("eth_getTransactionReceipt", {"status": "0x1", "logs": []}, None),
        (
            "eth_getTransactionReceipt",
            {"status": "0x1", "logs": [{"data": "0x1"}]},
            {"status": "0x1", "logs": [{"data": "0x2"}]},
        ),
        ("eth_getLogs", [{"data": "0x1"}], []),
        ("eth_getLogs", [{"data": "0x1"}, {"data": "0x2"}], [{"data": "0x2"}, {"data": "0x1"}]),
    ],
)  # fmt: skip
def test_what_is_read_must_be_the_same(method, one, other):
    verdict = judge(method, said(result(one), result(other)), 2)
    assert (verdict.believed, verdict.most_alike) == (None, 1)


WORDED = error(code=3, message="execution reverted: Unknown", data="0x12345678")


def test_a_refusal_of_the_contract_is_an_answer_with_or_without_its_words():
    bare = error(code=-32000, message="VM Exception: revert")
    verdict = judge("eth_call", said(WORDED, bare, result("0x")), 2)
    assert (verdict.believed.value["error"]["code"], verdict.vague) == (3, True)
    assert verdict.differing == {2}
    assert judge("eth_call", said(bare, bare), 2).believed.value["error"]["message"] == "VM Exception: revert"


@pytest.mark.parametrize(
    "lies", [error(code=3, message="", data="0x87654321"), error(code=3, message="Live")]
)
def test_a_refusal_is_for_the_reason_that_enough_name(lies):
    verdict = judge("eth_call", said(lies, WORDED), 2)
    assert ("data" in verdict.believed.value["error"], verdict.vague) == (False, True)
    verdict = judge("eth_call", said(lies, WORDED, WORDED), 2)
    assert (verdict.believed.value["error"]["data"], verdict.vague) == ("0x12345678", False)


@pytest.mark.parametrize(
    ("method", "lie", "truth"),
    [
        ("eth_call", result("0XAB"), result("0xab")),
        ("eth_getBlockByNumber", result({"hash": "0xa", "size": "0x7"}), result({"hash": "0xa"})),
        (BATCH, [{"id": 0, "result": "0XA"}], [result("0xa", 0)]),
    ],
)
def test_of_an_answer_only_what_enough_say_is_told(method, lie, truth):
    told = judge(method, said(lie, truth), 2).believed.value
    honest = judge(method, said(truth, truth), 2).believed.value
    assert told == honest
    assert "0X" not in str(told)


@pytest.mark.parametrize("number", ["0", True, None, [0]])
def test_a_batch_whose_numbers_are_none_is_no_answer(number):
    assert judge(BATCH, said([result("0xa", number)]), 1).failing.keys() == {0}


def test_what_is_too_deep_to_be_looked_through_is_told():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert not is_flat({"result": deep})
    assert is_flat({"result": {"logs": [{"topics": ["0x"]}]}})


def test_a_complaint_is_none_unless_enough_complain():
    pruned = error(code=-32000, message="missing trie node")
    verdict = judge("eth_call", said(pruned, result("0xa"), result("0xa")), 2)
    assert verdict.believed.value == result("0xa")
    assert verdict.failing == {0: "says missing trie node"}
    assert verdict.mute == frozenset()
    assert judge("eth_getLogs", said(pruned, pruned, result([])), 2).believed.value == pruned


@pytest.mark.parametrize("values", [("0x1", "0x1", None), (None, None, "0x1")])
def test_one_that_is_a_block_away_is_not_told_to_lie(values):
    verdict = judge("eth_getTransactionReceipt", said(*map(result, values)), 2)
    assert (verdict.agreeing, verdict.differing) == ({0, 1}, frozenset())


def test_batches_are_compared_call_by_call_in_any_order():
    one, two = result("0xa", 0), result("0xb", 1)
    assert judge(BATCH, said([one, two], [two, one]), 2).believed is not None
    assert judge(BATCH, said([one, two], [one, result("0xc", 1)]), 2).believed is None
    for part in ([one, "nothing"], [], [one, one], {"error": {"message": "no batches"}}):
        assert judge(BATCH, said(part), 1).failing.keys() == {0}
