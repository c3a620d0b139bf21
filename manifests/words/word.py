# SPDX-License-Identifier: Apache-2.0
"""A known word, and a place of a manifest in which words may stand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Word:
    """What to do about a word that the model does not have.

    `advice` says what to write instead. With one of the values `same`, or any where `whatever` holds, it asks
    for what is done anyway, and so it does where it says nothing (null, an empty map or list): it may stay.
    `inside` judges the words of a mapping one by one.
    """

    advice: str
    same: tuple[object, ...] = ()
    whatever: bool = False
    inside: "Place | None" = None

    def asks_for_nothing_new(self, value: object) -> bool:
        """Whether *value* may stay, because it changes nothing."""
        if self.whatever or value is None or value in ({}, []):
            return True
        return any(
            known == value and isinstance(known, bool) is isinstance(value, bool) for known in self.same
        )


@cache
def _fields(model: type[BaseModel]) -> frozenset[str]:
    known = model.model_fields.items()
    return frozenset({name for name, _ in known} | {str(field.alias or name) for name, field in known})


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a manifest: its model, the known words in it, and the parts below by field.

    A field whose value is a list stands for each of its entries. `title` names the part on the page of words;
    `devices` is for names that only their form tells, as `nvidia.com/gpu`.
    """

    title: str
    model: type[BaseModel] | None
    words: Mapping[str, Word]
    parts: Mapping[str, "Place"] = field(default_factory=dict)
    devices: Word | None = None

    @property
    def fields(self) -> frozenset[str]:
        """What the model takes here, under each of its spellings."""
        return frozenset() if self.model is None else _fields(self.model)

    def word(self, name: str) -> Word | None:
        """The known word of that name that the model does not have."""
        if name in self.fields:
            return None
        found = self.words.get(name)
        return self.devices if found is None and "/" in name else found
