# SPDX-License-Identifier: Apache-2.0
"""Contracts as web3 has them: each function's calldata and answer, each event's topics and log."""

import json

import pytest
from eth_abi.abi import encode
from eth_abi.exceptions import DecodingError
from web3 import Web3

from trustedpods.contracts.client.artifacts import artifact
from trustedpods.contracts.client.rpc.answers import Log
from trustedpods.contracts.client.rpc.contract import Contract
from trustedpods.protocol.ids import address_from_bytes

PLACE = address_from_bytes(bytes(range(20)))
NAMES = ("PodPayments", "PodRegistry", "TestToken")
ENTRIES = [(name, one) for name in NAMES for one in artifact(name).abi]
FUNCTIONS = [
    pytest.param(*entry, id=f"{entry[0]}.{entry[1]['name']}")
    for entry in ENTRIES
    if entry[1]["type"] == "function"
]
EVENTS = [
    pytest.param(*entry, id=f"{entry[0]}.{entry[1]['name']}")
    for entry in ENTRIES
    if entry[1]["type"] == "event"
]
SAMPLES = {
    "address": address_from_bytes(b"\xab" * 20),
    "bool": True,
    "string": "naïve",
    "bytes": b"\1\2\3",
    "bytes1": b"\7",
    "bytes12": b"twelve bytes",
    "bytes32": b"\xfe" * 32,
}


def sample(parameter):
    kind = parameter["type"]
    if kind.endswith("[]"):
        return (sample({**parameter, "type": kind[:-2]}),) * 2
    if kind == "tuple":
        return tuple(map(sample, parameter["components"]))
    return SAMPLES.get(kind, 200)


def kind_of(parameter):
    """As Solidity's specification of its ABI writes a struct."""
    kind = parameter["type"]
    return kind.replace("tuple", f"({','.join(map(kind_of, parameter.get('components', [])))})")


@pytest.fixture(scope="module")
def theirs():
    eth = Web3().eth
    return {
        name: eth.contract(PLACE, abi=artifact(name).abi)  # type: ignore[call-overload]
        for name in NAMES
    }


@pytest.mark.parametrize(("name", "entry"), FUNCTIONS)
def test_a_call_is_encoded_and_its_answer_decoded_as_web3_does(theirs, name, entry):
    arguments = [sample(one) for one in entry["inputs"]]
    call = getattr(Contract(name, PLACE).functions, entry["name"])(*arguments)
    assert call.to == PLACE
    assert "0x" + call.data.hex() == theirs[name].encode_abi(entry["name"], arguments)
    answer = tuple(sample(one) for one in entry["outputs"])
    raw = encode(list(map(kind_of, entry["outputs"])), answer)
    assert call.decode(raw) == (answer[0] if len(answer) == 1 else answer)


@pytest.mark.parametrize(("name", "entry"), EVENTS)
def test_an_event_is_looked_for_and_decoded_as_web3_does(theirs, name, entry):
    contract, event = Contract(name, PLACE), theirs[name].events[entry["name"]]()
    values = {one["name"]: sample(one) for one in entry["inputs"]}
    indexed = [one["name"] for one in entry["inputs"] if one["indexed"]]
    topics = contract.topics(entry["name"], {field: values[field] for field in indexed})
    builder = event.build_filter()
    for field in indexed:
        getattr(builder.args, field).match_single(values[field])
    assert topics == [topic if isinstance(topic, str) else topic[0] for topic in builder.topics]
    assert contract.topics(entry["name"], {}) == [topics[0], *[None] * len(indexed)]
    plain = [one for one in entry["inputs"] if not one["indexed"]]
    data = encode(list(map(kind_of, plain)), [values[one["name"]] for one in plain])
    raw = tuple(bytes.fromhex(topic[2:]) for topic in topics)
    log = Log(PLACE, raw, data, 7, 3, b"\5" * 32)
    found = contract.event(entry["name"], log)
    assert (found.args, found.block, found.index, found.tx_hash) == (values, 7, 3, b"\5" * 32)


LOG = Log(
    PLACE,
    tuple(
        bytes.fromhex(one[2:])
        for one in Contract("PodPayments", PLACE).topics("Withdrawn", {"who": PLACE, "to": PLACE})
    ),
    (5).to_bytes(32),
    1,
    0,
    bytes(32),
)


def test_a_receipt_holds_events_of_others_and_of_other_kinds():
    payments = Contract("PodPayments", PLACE)
    other = Contract("PodPayments", SAMPLES["address"])
    short = Log(PLACE, LOG.topics, b"", 1, 0, bytes(32))
    bare = Log(PLACE, LOG.topics[:1], LOG.data, 1, 0, bytes(32))
    nameless = Log(PLACE, (), LOG.data, 1, 0, bytes(32))
    assert [one.args["amount"] for one in payments.events("Withdrawn", [short, LOG, bare, nameless])] == [5]
    assert payments.events("Closed", [LOG]) == []
    assert other.events("Withdrawn", [LOG]) == []


@pytest.mark.parametrize("raw", [b"", bytes(31), b"\1" * 32])
def test_an_answer_that_is_no_address_is_refused(raw):
    with pytest.raises(DecodingError):
        Contract("PodPayments", PLACE).functions.token().decode(raw)


def test_what_a_contract_does_not_have_is_an_attribute_error():
    contract = Contract("TestToken", PLACE)
    with pytest.raises(AttributeError):
        _ = contract.functions.steal
    with pytest.raises(AttributeError, match="value"):
        contract.topics("Transfer", {"value": 5})


def test_the_packaged_abi_has_no_function_twice():
    for name in NAMES:
        names = [one["name"] for one in artifact(name).abi if one["type"] in ("function", "event")]
        assert len(names) == len(set(names)), json.dumps(names)
