# SPDX-License-Identifier: Apache-2.0
"""JSON of an error: imported also by what fails before anything else is."""

from trustedpods.publisher.journal import Fact
from trustedpods.publisher.output.json_of import JsonObject
from trustedpods.publisher.results.errors import ErrorReport


def known(**fields: Fact) -> JsonObject:
    """The *fields* that are not None: what is not known has no key."""
    return {name: value for name, value in fields.items() if value is not None}


def error_json(error: ErrorReport) -> JsonObject:
    """An error."""
    return known(
        code=error.code,
        exit=int(error.exit_code),
        what=error.what,
        where=error.where,
        rule=error.rule,
        hint=error.hint,
    )
