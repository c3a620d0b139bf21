# SPDX-License-Identifier: Apache-2.0
"""Schemas of a network's state, each with what makes it of the one before. Pure.

Fields are changed before they are validated, in a state that members signed long ago: a step takes
what the schema before it allowed and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from trustedpods.protocol.errors import RemoteProtocolError

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SchemaStep:
    """From schema `to` - 1 to schema `to`; `what` is for people who are asked whether they want it."""

    to: int
    what: str
    change: Callable[[Fields], None]


def _begin_and_end(fields: Fields) -> None:
    """Schema 1 wrote a record when a command had ended, and did not say when."""
    fields["metadata"]["migration"] = None
    for chunk in fields["history"]:
        for record in chunk:
            record["ended"] = record["at"]


def _lost_clusters_and_old_addresses(fields: Fields) -> None:
    """Schema 2 knew of no lost cluster but by its digest among the members, and not how old an address is."""
    for cluster in fields["clusters"]:
        cluster["lost"] = None
    for entry in fields["addresses"]:
        entry["generation"] = 0


def _book_of_addresses(fields: Fields) -> None:
    """Schema 3 had one address of each node, and did not say of which service it is."""
    for entry in fields["addresses"]:
        entry["service"], entry["port"], entry["identity"] = "", 0, b""


def _epoch(fields: Fields) -> None:
    """Schema 4 counted generations from the first document that stood in the clusters, whichever that was."""
    fields["metadata"]["epoch"] = 0


def _links(fields: Fields) -> None:
    """Schema 5 knew of no other owner: nodes outside stood in files alone."""
    fields["links"] = []


STEPS: Final = (
    SchemaStep(2, "history says when a command ended; the state says who migrated it", _begin_and_end),
    SchemaStep(
        3,
        "a lost cluster stands there with its reason; an address with the generation that confirmed it",
        _lost_clusters_and_old_addresses,
    ),
    SchemaStep(
        4,
        "the address book: each published port of each service of a node, and what the node is known by",
        _book_of_addresses,
    ),
    SchemaStep(5, "since when generations count: a state that is restored begins an epoch", _epoch),
    SchemaStep(6, "other owners, whose nodes are called and let in: invited, joined, accepted, left", _links),
)


def newest(steps: tuple[SchemaStep, ...]) -> int:
    """The schema at which *steps* arrive; ValueError where one is missing between 1 and it."""
    if [step.to for step in steps] != list(range(2, len(steps) + 2)):
        raise ValueError(f"the chain of schemas has a gap: {[step.to for step in steps]}")
    return len(steps) + 1


SCHEMA: Final = newest(STEPS)
"""The schema that this version writes."""


def missing(version: int) -> tuple[SchemaStep, ...]:
    """The steps from schema *version* to this version's."""
    return STEPS[version - 1 :]


def migrated(fields: Fields, version: int) -> Fields:
    """*fields* of schema *version*, which may be changed, as this version has them.

    RemoteProtocolError where they are not of that schema.
    """
    try:
        for step in missing(version):
            step.change(fields)
    except (KeyError, TypeError, AttributeError):
        raise RemoteProtocolError(f"a network's state is not of schema {version}, as it says") from None
    return fields | {"schema_version": SCHEMA}
