# SPDX-License-Identifier: Apache-2.0
"""JSON of an error: imported also by what fails before anything else is."""

from typing import TYPE_CHECKING

from trustedpods.publisher.journal import Fact
from trustedpods.publisher.output.json_of import JsonObject
from trustedpods.publisher.results.errors import ErrorReport

if TYPE_CHECKING:
    from trustedpods.publisher.output.answers.parts import ErrorJson


def known(**fields: Fact) -> JsonObject:
    """The *fields* that are not None: what is not known has no key."""
    return {name: value for name, value in fields.items() if value is not None}


def error_json(error: ErrorReport) -> "ErrorJson":
    """An error."""
    tree: ErrorJson = {"code": error.code, "exit": int(error.exit_code), "what": error.what}
    if error.where is not None:
        tree["where"] = error.where
    if error.rule is not None:
        tree["rule"] = error.rule
    if error.hint is not None:
        tree["hint"] = error.hint
    return tree
