# SPDX-License-Identifier: Apache-2.0
"""Every field of every message takes its own type and no other that msgpack carries, however equal it is."""

import types
import typing
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.protocol import strategies
from tests.protocol.test_codec import MODELS
from trustedpods.protocol import codec
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.messages.base import Message

BIG = 1 << 64
VALUES: dict[type, list[Any]] = {
    type(None): [None],
    bool: [True, False],
    int: [0, 1, 2, -1, (1 << 64) - 1],
    float: [0.0, 1.0, -0.0, 1.5, float("nan"), float("inf"), float(1 << 53)],
    str: ["", "0", "1", "true", "sealed", "none", "0x" + "1" * 40],
    bytes: [b"", b"1", b"\x01" * 20, b"\x01" * 32, b"http"],
    list: [[], [1], [[]], [None], [{}]],
    dict: [{}, {"a": 1}, {"kind": "status"}, {"": {}}],
    msgpack.ExtType: [msgpack.ExtType(1, BIG.to_bytes(9, "big"))],
    msgpack.Timestamp: [msgpack.Timestamp(1)],
}
"""What the wire can carry, by type; the extension is our own for large integers, and a timestamp."""


def wire_types(annotation: Any) -> set[type]:  # noqa: PLR0911
    """Which of them a field of that annotation takes."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return wire_types(inner[0])
    if origin in (typing.Union, types.UnionType):
        return set().union(*map(wire_types, inner))
    if origin is typing.Literal:
        return {type(word) for word in inner}
    if origin in (list, dict):
        return {origin}
    if annotation is int:
        return {int, msgpack.ExtType}  # too large a one is refused by its bound, not by its type
    if isinstance(annotation, type) and issubclass(annotation, Message):
        return {dict}
    return {annotation}


def places(
    model: type[Message], value: dict[str, Any]
) -> Iterator[tuple[dict[Any, Any] | list[Any], Any, set[type]]]:
    """Every place in a plain message: what holds it, under which key, and the types that may stand there."""
    for name, field in model.model_fields.items():
        yield from _places(value, name, field.annotation)


def _places(holder: Any, key: Any, annotation: Any) -> Iterator[tuple[Any, Any, set[type]]]:
    yield holder, key, wire_types(annotation)
    value = holder[key]
    for part in _parts(annotation):
        origin, inner = typing.get_origin(part), typing.get_args(part)
        if origin is list and isinstance(value, list):
            for index in range(len(value)):
                yield from _places(value, index, inner[0])
        elif origin is dict and isinstance(value, dict):
            for name in value:
                yield from _places(value, name, inner[1])
        elif isinstance(part, type) and issubclass(part, Message) and isinstance(value, dict):
            yield from places(part, value)


def _parts(annotation: Any) -> list[Any]:
    """The annotation without bounds, each member of a union by itself."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _parts(inner[0])
    if origin in (typing.Union, types.UnionType):
        return [part for member in inner for part in _parts(member)]
    return [annotation]


@settings(
    max_examples=examples(8),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@given(data=st.data())
def test_no_field_takes_another_type(model: type[Message], data: st.DataObject):
    message = data.draw(strategies.messages(model))
    plain = msgpack.unpackb(codec.encode(message), ext_hook=msgpack.ExtType)
    assert codec.decode(msgpack.packb(plain), model) == message
    for holder, key, taken in places(model, plain):
        kept = holder[key]
        for kind, values in VALUES.items():
            if kind in taken:
                continue
            for value in values:
                holder[key] = value
                with pytest.raises(RemoteProtocolError):
                    codec.decode(msgpack.packb(plain), model)
        holder[key] = kept
    assert codec.decode(msgpack.packb(plain), model) == message


def test_the_walk_reaches_fields_of_fields():
    """The control: without it an empty walk would pass."""
    seen = {
        (str(key), kind.__name__)
        for model in MODELS
        for holder, key, taken in places(model, dict.fromkeys(model.model_fields))
        for kind in taken
    }
    assert {("version", "int"), ("kind", "str"), ("final", "bool"), ("leaves", "list")} <= seen
