# SPDX-License-Identifier: Apache-2.0
import ast
import contextlib
import importlib
import inspect
import json
import pkgutil

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.paths import VECTORS
from tests.protocol import strategies
from trustedpods.protocol import codec, envelopes, evidence, messages
from trustedpods.protocol.envelopes import ErrorReply, SealedReply, SignedRequest
from trustedpods.protocol.errors import LocalProtocolError, RemoteProtocolError
from trustedpods.protocol.evidence import AttestRequest
from trustedpods.protocol.limits import MAX_MESSAGE
from trustedpods.protocol.messages.base import Done, Message, Progress
from trustedpods.protocol.messages.bundle import BlobAck, SecretValue
from trustedpods.protocol.messages.provider import LeastTerms
from trustedpods.protocol.messages.usage import UsageLeaf, UsageReport

MESSAGES = VECTORS / "messages.json"
BODIES = [
    importlib.import_module(found.name)
    for found in pkgutil.iter_modules(messages.__path__, f"{messages.__name__}.")
]
BY_NAME = {
    name: model
    for module in (*BODIES, envelopes, evidence)
    for name, model in inspect.getmembers(module, inspect.isclass)
    if issubclass(model, Message) and model is not Message
}
MODELS = list(BY_NAME.values())
KINDS = [model for model in MODELS if "kind" in model.model_fields and model is not evidence.Evidence]


@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@given(data=st.data())
def test_round_trip(model: type[Message], data: st.DataObject):
    message = data.draw(strategies.messages(model))
    encoded = codec.encode(message)
    assert codec.decode(encoded, model) == message
    assert codec.encode(codec.decode(encoded, model)) == encoded


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_remote_protocol_error_or_a_message(data: bytes):
    with contextlib.suppress(RemoteProtocolError):
        codec.decode(data, *KINDS)


JSONISH = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.binary() | st.integers(0, 9), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["kind", "nonce", "code", "what", "sequence"]), JSONISH) | JSONISH)
def test_any_msgpack_value_is_refused_or_a_message(value: object):
    with pytest.raises(RemoteProtocolError):
        codec.decode(msgpack.packb(value), AttestRequest, SignedRequest, SealedReply)


@given(data=st.data())
def test_one_changed_byte_gives_a_message_or_a_remote_protocol_error(data: st.DataObject):
    encoded = bytearray(codec.encode(ErrorReply(code="refused", what="no", rule="cap")))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(RemoteProtocolError):
        assert isinstance(codec.decode(bytes(encoded), ErrorReply, Done), Message)


def test_the_model_is_chosen_by_kind():
    progress = Progress(step="image", text="pulling")
    assert codec.decode(codec.encode(progress), Done, Progress, BlobAck) == progress
    with pytest.raises(RemoteProtocolError, match="'progress' where one of Done, BlobAck belongs"):
        codec.decode(codec.encode(progress), Done, BlobAck)


def test_a_model_without_kind_is_decoded_alone():
    secret = SecretValue(name="tls", files={"b": b"2", "a": b"1"})
    assert codec.decode(codec.encode(secret), SecretValue) == secret
    with pytest.raises(RemoteProtocolError):
        codec.decode(codec.encode(secret), SecretValue, Done)


def test_keys_are_sorted_whatever_their_order_was():
    one = SecretValue(name="tls", files={"b": b"2", "a": b"1"})
    other = SecretValue(files={"a": b"1", "b": b"2"}, name="tls")
    assert codec.encode(one) == codec.encode(other)
    assert list(msgpack.unpackb(codec.encode(one))) == ["files", "name"]


@pytest.mark.parametrize("deposit", [0, (1 << 64) - 1, 1 << 64, (1 << 256) - 1])
def test_integers_of_256_bits_survive(deposit: int):
    terms = LeastTerms(deposit=deposit, unlock_s=60, idle_mib=1)
    assert codec.decode(codec.encode(terms), LeastTerms) == terms


@pytest.mark.parametrize(
    "extension",
    [
        msgpack.ExtType(1, b"\x01"),
        msgpack.ExtType(1, b"\0" + b"\x01" * 9),
        msgpack.ExtType(1, b"\x01" * 33),
        msgpack.ExtType(2, b"\x01" * 9),
        msgpack.Timestamp(1),
    ],
    ids=["small", "leading zero", "too long", "other type", "timestamp"],
)
def test_an_integer_has_one_encoding(extension: object):
    data = msgpack.packb({"deposit": extension, "unlock_s": 60, "idle_mib": 1})
    with pytest.raises(RemoteProtocolError):
        codec.decode(data, LeastTerms)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x80" + b"\x80",  # something behind the message
        b"\x82\xa4kind\xa4done\xa4kind\xa4done",  # a key twice
        b"\xde\xff\xff",  # a map of 65,535 entries in three bytes
        b"\xdd\xff\xff\xff\xff",  # an array of four billion
        b"\xc6\xff\xff\xff\xff",  # four gigabytes in five bytes
        b"\xa4\xff\xfe\xfd\xfc",  # no UTF-8
        b"\x91" * 5000,  # nested beyond every model
        b"\x91" * 400 + b"\xc0",
        b"\x81\x01\x01",  # a key that is no text
        b"\xdc\x1f\xff" + b"\xdc\x1f\xff\x90" * 4000,  # many empty lists
        b"\x80" * (MAX_MESSAGE + 1),
    ],
    ids=lambda data: data[:6].hex(),
)
def test_hostile_bytes_are_refused(data: bytes):
    with pytest.raises(RemoteProtocolError):
        codec.decode(data, *KINDS)


def test_many_small_lists_run_out_of_budget():
    count = codec.MAX_ARRAY.to_bytes(2, "big")
    lists = b"\xdc" + count + b"\x90" * codec.MAX_ARRAY  # array 16 of empty arrays
    with pytest.raises(RemoteProtocolError, match="items"):
        codec.decode(b"\xdc\x00\x64" + lists * 100, *KINDS)


def test_a_full_usage_report_fits():
    leaf = UsageLeaf(
        from_=1 << 40,
        up_to=1 << 41,
        usage=[1 << 47] * 5,
        root=b"r" * 32,
        proof=[b"p" * 32] * 12,
        transaction=None,
    )
    report = UsageReport(leaves=[leaf] * 4096, open_usage=[0] * 5)
    assert codec.decode(codec.encode(report), UsageReport) == report


def test_an_oversized_message_is_our_own_fault():
    reply = SealedReply.model_construct(
        sequence=0, final=True, sealed=bytes(MAX_MESSAGE), signature=bytes(64), kind="reply"
    )
    with pytest.raises(LocalProtocolError):
        codec.encode(reply)


def test_the_error_does_not_repeat_the_peers_content():
    data = msgpack.packb({"kind": "done", "x" * 100_000: b"secret"})
    with pytest.raises(RemoteProtocolError) as caught:
        codec.decode(data, Done)
    assert len(str(caught.value)) < 600
    assert "secret" not in str(caught.value)


def test_frozen_vectors():
    for vector in json.loads(MESSAGES.read_text()):
        model = BY_NAME[vector["model"]]
        message = codec.decode(bytes.fromhex(vector["encoded"]), model)
        assert message == model(**ast.literal_eval(vector["fields"]))
        assert codec.encode(message).hex() == vector["encoded"]
