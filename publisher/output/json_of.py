# SPDX-License-Identifier: Apache-2.0
"""A verb's result, or what is known of it after an error, as the object that `-o json` prints."""

from functools import singledispatch
from typing import TypeAlias

from trustedpods.publisher.journal import Fact

JsonObject: TypeAlias = dict[str, Fact]
"""What `json.dumps` takes. Amounts are decimal numbers of whole tokens as text; in `..._units` base units."""


@singledispatch
def json_of(result: object) -> JsonObject:
    """The form of *result*; the modules beside this one register theirs, `json_forms` imports them."""
    raise NotImplementedError(f"{type(result).__name__} has no form in JSON")
