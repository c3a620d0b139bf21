# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for our messages, made from the bounds in their annotations."""

import types
import typing
from typing import Any

from hypothesis import strategies as st

from trustedpods.protocol.messages.base import Message
from trustedpods.protocol.networks.book import BookEntry, NetworkBook

MOST_ITEMS = 6
MOST_BYTES = 80


def messages(model: type[Message]) -> st.SearchStrategy[Message]:
    """Instances of *model*, with all its fields given."""
    if model is NetworkBook:
        return _books()
    fields = {name: _values(field.annotation, field.metadata) for name, field in model.model_fields.items()}
    return st.fixed_dictionaries(fields).map(lambda values: model(**values))


def _books() -> st.SearchStrategy[Message]:
    """Books of ports in order, each published or not: their fields hang together."""

    def book(generation: int, ports: dict[int, int]) -> Message:
        entries = [_entry(port, published) for port, published in sorted(ports.items())]
        return NetworkBook(network="shop", node="a", generation=generation, entries=entries)

    ports = st.dictionaries(st.integers(1, 65535), st.integers(0, 65535), max_size=MOST_ITEMS)
    return st.builds(book, st.integers(0, (1 << 64) - 1), ports)


def _entry(port: int, published: int) -> BookEntry:
    given = {"address": "b.example", "url": f"udp://b.example:{published}"} if published else {}
    return BookEntry(node="b", service="p2p", port=port, transport="UDP", published=published, **given)


def _values(annotation: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _values(
            inner[0], [item for field in inner[1:] for item in getattr(field, "metadata", [field])]
        )
    if origin in (typing.Union, types.UnionType):
        return st.one_of([_values(part, metadata) for part in inner])
    bounds = {
        name: getattr(item, name)
        for item in metadata
        for name in _BOUNDS
        if getattr(item, name, None) is not None
    }
    least, most = bounds.get("min_length", 0), bounds.get("max_length", MOST_BYTES)
    if origin is list:
        return st.lists(_values(inner[0], []), min_size=least, max_size=min(most, max(least, MOST_ITEMS)))
    if origin is dict:
        return st.dictionaries(_values(inner[0], []), _values(inner[1], []), max_size=MOST_ITEMS)
    if origin is typing.Literal:
        return st.sampled_from(inner)
    return _scalar(annotation, bounds, least, min(most, max(least, MOST_BYTES)))


def _scalar(  # noqa: PLR0911
    annotation: Any, bounds: dict[str, Any], least: int, most: int
) -> st.SearchStrategy[Any]:
    if annotation is type(None):
        return st.none()
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        return st.integers(bounds["ge"], bounds["lt"] - 1 if "lt" in bounds else bounds["le"])
    if annotation is bytes:
        return st.binary(min_size=least, max_size=most)
    if "pattern" in bounds:
        return st.from_regex(bounds["pattern"], alphabet="sha256:0123456789abcdef", fullmatch=True)
    if annotation is str:
        return st.text(min_size=least, max_size=most)
    return messages(annotation)


_BOUNDS = ("min_length", "max_length", "ge", "le", "lt", "pattern")
