# SPDX-License-Identifier: Apache-2.0
"""A verb's result, or what is known of it after an error, as the object that `-o json` prints."""

from collections.abc import Mapping
from functools import singledispatch
from importlib import import_module
from typing import TypeAlias, cast

from trustedpods.publisher.journal import Fact

JsonObject: TypeAlias = dict[str, Fact]
"""What `json.dumps` takes. Amounts are decimal numbers of whole tokens as text; in `..._units` base units."""

Answer: TypeAlias = Mapping[str, object]
"""The same where its fields are declared by a form: one of `answers`."""


FORMS = (
    "json_pods",
    "json_money",
    "json_market",
    "json_rounds",
    "json_validated",
    "json_networks",
    "documents.json_documents",
)
"""The modules here that register forms, in the order in which they are looked through: most verbs need one of
the first three, and that of networks is slow to load."""


@singledispatch
def json_of(result: object) -> Answer:
    """The form of *result*. Modules that have forms are imported until one has this one."""
    for name in FORMS:
        import_module(f"trustedpods.publisher.output.{name}")
        form = json_of.dispatch(type(result))
        if form is not _NO_FORM:
            return form(result)
    raise NotImplementedError(f"{type(result).__name__} has no form in JSON")


_NO_FORM = json_of.dispatch(object)


def as_facts(answer: Answer) -> JsonObject:
    """The fields of *answer*, to be told beside others: a form declares nothing but JSON values."""
    return cast("JsonObject", dict(answer))
