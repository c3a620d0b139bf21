# SPDX-License-Identifier: Apache-2.0
"""What is asked of a node, and what is made of its errors."""

import pytest

from trustedpods.contracts.client.errors import MALFORMED, RpcError, translated
from trustedpods.contracts.client.rpc.methods import LEAST_TIP, MOST_TIP, CallRequest, Methods
from trustedpods.protocol.errors import InsufficientFunds, NetworkFailure, Refused
from trustedpods.protocol.ids import address_from_bytes, keccak256

WHO = address_from_bytes(b"\xab" * 20)
HASH = "0x" + 64 * "a"
ERROR_STRING = (
    "0x" + keccak256(b"Error(string)")[:4].hex() + f"{32:064x}{4:064x}" + b"poor".hex().ljust(64, "0")
)


class Asked:
    """A node that answers each method with a value, or with an error."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []
        self.methods = Methods(self.ask)

    def ask(self, method, params):
        self.asked.append((method, list(params)))
        answer = self.answers[method]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_each_question_is_put_as_the_specification_has_it():
    node = Asked(
        eth_getTransactionCount="0x5",
        eth_estimateGas="0x5208",
        eth_call="0x01",
        eth_getLogs=[],
        eth_sendRawTransaction=HASH,
        eth_getTransactionReceipt=None,
    )
    eth = node.methods
    assert (eth.transaction_count(WHO, "pending"), eth.transaction_count(WHO, 10)) == (5, 5)
    assert eth.estimate_gas(CallRequest(None, b"\1", 3, WHO, chain_id=4)) == 21_000
    assert eth.call(CallRequest(WHO, b"\2"), 7) == b"\1"
    assert eth.logs(WHO, [HASH, None], 1, 16) == []
    assert eth.send_raw(b"\3") == b"\xaa" * 32
    assert eth.receipt(b"\xaa" * 32) is None
    assert node.asked == [
        ("eth_getTransactionCount", [WHO, "pending"]),
        ("eth_getTransactionCount", [WHO, "0xa"]),
        ("eth_estimateGas", [{"data": "0x01", "from": WHO, "value": "0x3", "chainId": "0x4"}]),
        ("eth_call", [{"data": "0x02", "to": WHO}, "0x7"]),
        ("eth_getLogs", [{"address": WHO, "topics": [HASH, None], "fromBlock": "0x1", "toBlock": "0x10"}]),
        ("eth_sendRawTransaction", ["0x03"]),
        ("eth_getTransactionReceipt", [HASH]),
    ]


@pytest.mark.parametrize(
    ("paid", "tip"),
    [
        ([0, 0], LEAST_TIP),
        ([], LEAST_TIP),
        ([1], LEAST_TIP),
        ([0, 12 * 10**8, 13 * 10**8], 1_250_000_000),
        ([10**12], MOST_TIP),
    ],
)
def test_a_node_without_a_method_for_tips_is_asked_for_those_of_recent_blocks(paid, tip):
    missing = RpcError({"code": -32601, "message": "no such method"})
    rewards = {"reward": [[hex(one)] for one in paid]}
    node = Asked(eth_maxPriorityFeePerGas=missing, eth_feeHistory=rewards)
    assert node.methods.tip() == tip
    assert node.asked[1] == ("eth_feeHistory", ["0xa", "pending", [5.0]])
    assert Asked(eth_maxPriorityFeePerGas="0x9").methods.tip() == 9


def test_what_is_not_there_is_no_answer():
    nothing = Asked(eth_getBlockByNumber=None, eth_getTransactionByHash=None).methods
    for ask in (lambda: nothing.block("latest"), lambda: nothing.transaction_data(b"\1" * 32)):
        with pytest.raises(NetworkFailure, match="found nothing"), translated():
            ask()


@pytest.mark.parametrize(
    ("error", "kind", "rule", "text"),
    [
        ({"code": 3, "message": "execution reverted: poor", "data": ERROR_STRING}, Refused, "Error", "poor"),
        (
            {"code": -32015, "message": "VM error", "data": "Reverted " + ERROR_STRING},
            Refused,
            "Error",
            "poor",
        ),
        (
            {"code": 3, "message": "execution reverted", "data": "0x"},
            Refused,
            "reverted",
            "execution reverted",
        ),
        ({"code": -32000, "message": "execution reverted"}, Refused, "reverted", "execution reverted"),
        (
            {"code": -32000, "message": "VM Exception: revert", "data": {"a": 1}},
            Refused,
            "reverted",
            "revert",
        ),
        (
            {"code": 3, "message": "ERC20: transfer amount exceeds balance"},
            InsufficientFunds,
            "token",
            "exceeds",
        ),
        ({"code": 3, "message": "x", "data": "0x556f1830" + 64 * "0"}, Refused, "reverted", "0x556f1830"),
        ({"code": -32000, "message": "insufficient funds for gas"}, InsufficientFunds, "gas", "pay the gas"),
        ({"code": -32000, "message": "header not found"}, NetworkFailure, None, "header not found"),
        (
            {"code": -32000, "message": "header not found", "data": None},
            NetworkFailure,
            None,
            "header not found",
        ),
        ({"code": "3", "message": 5}, NetworkFailure, None, "failed"),
        ({"message": "odd", "data": "0xzzzzzzzzzz"}, NetworkFailure, None, "makes no sense"),
    ],
)
@pytest.mark.parametrize("method", ["eth_call", "eth_estimateGas"])
def test_what_a_contract_says_is_told_from_what_a_node_says(method, error, kind, rule, text):
    eth = Asked(**{method: RpcError(error)}).methods
    ask = eth.call if method == "eth_call" else eth.estimate_gas
    with pytest.raises(kind, match=text) as raised, translated():
        ask(CallRequest(WHO))
    assert raised.value.rule == rule or rule is None


@pytest.mark.parametrize("method", ["chain_id", "block_number", "gas_price"])
@pytest.mark.parametrize("wrong", [None, 5, "0x", [], {}])
def test_a_number_that_is_none_is_malformed(method, wrong):
    names = {"chain_id": "eth_chainId", "block_number": "eth_blockNumber", "gas_price": "eth_gasPrice"}
    with pytest.raises(MALFORMED):
        getattr(Asked(**{names[method]: wrong}).methods, method)()
