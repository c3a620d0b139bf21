# SPDX-License-Identifier: Apache-2.0
"""Messages to bytes and back: one msgpack map per message, keyed by field names.

Encoding is deterministic: every field is there, and the keys of every map are in ascending order
of their UTF-8 bytes. An integer that does not fit msgpack's 64 bits travels as extension type
1, big-endian without leading zeros. Decoding trusts nothing: sizes are bounded before anything
is allocated, and whatever is wrong with the input is a `RemoteProtocolError`.
"""

from typing import Any, TypeVar

import msgpack
from pydantic import ValidationError

from trustedpods.protocol.errors import LocalProtocolError, RemoteProtocolError
from trustedpods.protocol.limits import MAX_BLOBS, MAX_IMAGES, MAX_MESSAGE
from trustedpods.protocol.messages.base import Message

M = TypeVar("M", bound=Message)

MAX_ARRAY = MAX_BLOBS * MAX_IMAGES
"""Items of one array: the longest list of any message names each blob of a bundle."""

MAX_MAP = 1024
"""Entries of one map: no model has 32 fields, a Kubernetes Secret rarely 100 keys."""

MAX_ITEMS = 1 << 18
"""Items of all arrays and maps together: a bundle with all its blobs has a fifth of that.

Without it, four megabytes of empty lists would become a quarter of a gigabyte of objects.
"""

_BIG_INTEGER = 1
_BIG_INTEGER_BYTES = 32
_SMALL_LIMIT = 1 << 64
_MAX_ERROR_TEXT = 200


def encode(message: Message) -> bytes:
    """Encode *message*; equal messages give equal bytes.

    Raises `LocalProtocolError` for a message over `limits.MAX_MESSAGE`.
    """
    data: bytes = msgpack.packb(_plain(message.model_dump()), use_bin_type=True)
    if len(data) > MAX_MESSAGE:
        raise LocalProtocolError(
            f"a {type(message).__name__} of {len(data)} bytes is over the limit of {MAX_MESSAGE}"
        )
    return data


def decode(data: bytes, *models: type[M], max_items: int = MAX_ITEMS) -> M:
    """Decode *data* as one of *models*, chosen by its `kind`; of at most *max_items* items in all.

    A single model is taken without looking at `kind`, so models that have none can be decoded
    too. Raises `RemoteProtocolError`, and nothing else, for whatever is wrong with *data*.
    """
    fields = unpack(data, max_items)
    model = models[0] if len(models) == 1 else _choose(fields, models)
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise RemoteProtocolError(_explain(model, error)) from None


def _plain(value: object) -> object:
    """Sort the keys of maps, and replace what msgpack cannot carry."""
    match value:
        case dict():
            return {key: _plain(value[key]) for key in sorted(value)}
        case list():
            return [_plain(item) for item in value]
        case int() if value >= _SMALL_LIMIT:
            return msgpack.ExtType(_BIG_INTEGER, value.to_bytes((value.bit_length() + 7) // 8, "big"))
        case _:
            return value


def unpack(data: bytes, max_items: int = MAX_ITEMS) -> dict[str, Any]:
    """The fields of a message whose model is not known yet; RemoteProtocolError as `decode`."""
    if len(data) > MAX_MESSAGE:
        raise RemoteProtocolError(f"a message of {len(data)} bytes is over the limit of {MAX_MESSAGE}")
    budget = _Budget(max_items)
    try:
        value = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            object_pairs_hook=budget.table,
            list_hook=budget.array,
            ext_hook=_extension,
            max_str_len=len(data),
            max_bin_len=len(data),
            max_array_len=min(MAX_ARRAY, max_items),
            max_map_len=min(MAX_MAP, max_items),
            max_ext_len=_BIG_INTEGER_BYTES,
        )
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise RemoteProtocolError(f"not a message: {_short(str(error))}") from None
    if not isinstance(value, dict):
        raise RemoteProtocolError("not a message: no map")
    return value


class _Budget:
    """Counts what one message makes the unpacker build, container by container."""

    def __init__(self, max_items: int) -> None:
        self._left = max_items

    def array(self, items: list[Any]) -> list[Any]:
        self._spend(len(items))
        return items

    def table(self, pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
        self._spend(len(pairs))
        table: dict[str, Any] = {}
        for key, value in pairs:
            if not isinstance(key, str) or key in table:
                raise RemoteProtocolError("not a message: a key is no text, or there twice")
            table[key] = value
        return table

    def _spend(self, items: int) -> None:
        self._left -= items + 1
        if self._left < 0:
            raise RemoteProtocolError("not a message: too many items")


def _extension(code: int, data: bytes) -> int:
    value = int.from_bytes(data, "big")
    if code != _BIG_INTEGER or value < _SMALL_LIMIT or data[0] == 0:
        raise RemoteProtocolError(f"not a message: extension type {code} out of its place")
    return value


def _choose(fields: dict[str, Any], models: tuple[type[M], ...]) -> type[M]:
    kind = fields.get("kind")
    for model in models:
        field = model.model_fields.get("kind")
        if field is not None and isinstance(kind, str) and field.default == kind:
            return model
    expected = ", ".join(model.__name__ for model in models)
    raise RemoteProtocolError(f"a message of kind {_short(repr(kind))} where one of {expected} belongs")


def _explain(model: type[Message], error: ValidationError) -> str:
    """First thing wrong, without the peer's content: names of places may be long, so cut them."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = _short(".".join(str(part) for part in first["loc"]))
    return f"{model.__name__}.{place}: {_short(first['msg'])}"


def _short(text: str) -> str:
    printable = text.encode("ascii", "backslashreplace").decode()
    return printable if len(printable) <= _MAX_ERROR_TEXT else printable[:_MAX_ERROR_TEXT] + "..."
