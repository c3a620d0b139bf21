# SPDX-License-Identifier: Apache-2.0
"""A signer that another program keeps: what counts of its answers, and what is said of all others."""

import json
import secrets

import pytest
from eth_account import Account

from tests.fakes.chain.signer_device import SignerDevice, refusing
from trustedpods.contracts.client.signers.external import ExternalSigner
from trustedpods.contracts.client.signers.signer import LocalKey, TransactionToSign
from trustedpods.contracts.client.signers.wire import SignerWire
from trustedpods.contracts.eip712 import Domain, Permit, permit_data
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address

TO = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
ASKED = TransactionToSign(31337, 7, TO, 5, b"\xa9\x05\x9c\xbb", 60_000, 10**9, 10**8)
LONG_S = 30.0


@pytest.fixture
def device(tmp_path):
    with SignerDevice(tmp_path / "signer.ipc", secrets.token_bytes(32)).running() as running:
        yield running


def signer_of(device, address=None):
    return ExternalSigner(SignerWire(device.path, LONG_S), address or device.address)


@pytest.mark.parametrize(
    "asked",
    [
        ASKED,
        TransactionToSign(1, 0, None, 0, b"\x60\x00", 10**6, 1, 0),
        TransactionToSign(1, 0, TO, 0, b"", 21_000, 1, 0),
    ],
)
def test_what_it_signs_is_what_a_key_here_would_sign(device, asked):
    assert signer_of(device).sign_transaction(asked) == LocalKey(device.key).sign_transaction(asked)
    assert [one["params"][0]["from"] for one in device.asked] == [device.address]


def test_typed_data_is_signed_as_the_contracts_take_it(device):
    permit = Permit(device.address, TO, 2**100, 3, 1_900_000_000)
    data = permit_data(Domain("Token", "1", 31337, TO), permit)
    assert signer_of(device).sign_typed_data(data) == LocalKey(device.key).sign_typed_data(data)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("to", Address("0x" + 40 * "1")),
        ("value", 6),
        ("nonce", 8),
        ("gas", 60_001),
        ("maxFeePerGas", 10**9 + 1),
        ("maxPriorityFeePerGas", 1),
        ("data", "0xa9059cbc"),
        ("chainId", 1),
    ],
)
def test_a_transaction_with_another_field_is_not_used(device, field, value):
    device.change = lambda fields: fields | {field: value}
    with pytest.raises(Refused, match=f"its {field} was changed") as refused:
        signer_of(device).sign_transaction(ASKED)
    assert refused.value.rule == "signer-answer"


def test_a_list_of_places_that_it_adds_is_a_change(device):
    listed = [{"address": TO, "storageKeys": ["0x" + 64 * "0"]}]
    device.change = lambda fields: fields | {"accessList": listed}
    with pytest.raises(Refused, match="its accessList was changed"):
        signer_of(device).sign_transaction(ASKED)


def test_a_transaction_of_an_older_type_is_not_used(device):
    fields = {"nonce": 7, "to": TO, "value": 5, "gas": 60_000, "gasPrice": 10**9, "data": "0xa9059cbb"}
    old = Account.sign_transaction(fields | {"chainId": 31337}, device.key).raw_transaction
    device.answer = lambda _: json.dumps({"id": 1, "result": {"raw": "0x" + bytes(old).hex()}}).encode()
    with pytest.raises(Refused, match="another type"):
        signer_of(device).sign_transaction(ASKED)


def test_what_another_account_signed_is_not_used(device):
    with pytest.raises(Refused, match=f"{device.address} signed it, not {TO}"):
        signer_of(device, TO).sign_transaction(ASKED)
    data = permit_data(Domain("Token", "1", 31337, TO), Permit(TO, TO, 1, 0, 1))
    with pytest.raises(Refused, match=f"no signature of {TO}"):
        signer_of(device, TO).sign_typed_data(data)


def test_a_no_is_said_as_one_and_may_be_asked_again(device):
    device.answer = refusing
    with pytest.raises(Refused, match="request denied") as refused:
        signer_of(device).sign_transaction(ASKED)
    assert (refused.value.rule, int(refused.value.exit_code)) == ("signer-refused", 6)
    assert "run the same again" in refused.value.hint
    device.answer = None
    assert signer_of(device).sign_transaction(ASKED)


@pytest.mark.parametrize(
    "result",
    [
        None,
        5,
        "text",
        "0x0",
        "0x",
        "0xzz",
        {},
        {"raw": None},
        {"raw": "0x02"},
        {"raw": "0x02" + 80 * "ff"},
        [],
    ],
)
def test_a_result_that_is_no_signature_is_not_used(device, result):
    device.answer = lambda _: json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()
    with pytest.raises(Refused) as refused:
        signer_of(device).sign_transaction(ASKED)
    assert refused.value.rule == "signer-answer"
    data = permit_data(Domain("Token", "1", 31337, TO), Permit(device.address, TO, 1, 0, 1))
    with pytest.raises(Refused) as refused:
        signer_of(device).sign_typed_data(data)
    assert refused.value.rule == "signer-answer"
