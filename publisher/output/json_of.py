# SPDX-License-Identifier: Apache-2.0
"""A verb's result, or what is known of it after an error, as the object that `-o json` prints."""

from collections.abc import Mapping
from functools import singledispatch
from typing import TypeAlias, cast

from trustedpods.publisher.journal import Fact

JsonObject: TypeAlias = dict[str, Fact]
"""What `json.dumps` takes. Amounts are decimal numbers of whole tokens as text; in `..._units` base units."""

Answer: TypeAlias = Mapping[str, object]
"""The same where its fields are declared by a form: one of `answers`."""


@singledispatch
def json_of(result: object) -> Answer:
    """The form of *result*; the modules beside this one register theirs, `json_forms` imports them."""
    raise NotImplementedError(f"{type(result).__name__} has no form in JSON")


def as_facts(answer: Answer) -> JsonObject:
    """The fields of *answer*, to be told beside others: a form declares nothing but JSON values."""
    return cast("JsonObject", dict(answer))
