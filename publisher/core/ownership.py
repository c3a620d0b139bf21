# SPDX-License-Identifier: Apache-2.0
"""Whose pod is there after a verb failed, and whether its channel may be given notice. Pure.

Several clients may hold one key, and one name is one channel for all of them: notice given by a deploy
that lost would end the pod of the one that won. So notice follows only on what the provider shows, and
what could not be read never counts as gone. One case is other: a first deploy that leaves a silent provider
for the next one, as two pods of a name would be paid else. There the chain must show no trace of another's.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from trustedpods.protocol.errors import RemoteProtocolError, TrustedPodsError

ENDED = frozenset({"removing", "gone", "failed"})
"""The provider's words for pods of which nothing will serve: it settles and releases their channels."""

GENERATION_RULE = "generation"
"""A provider's refusal of a request that is older than one that it took."""

NEWER_STATEMENT_RULE = "statement-generation"
"""Here, for a statement about a later request than this one."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a provider says of a pod: its phase, the newest request that changed it, and what served last.

    `served` is the generation in its newest statement, None where it never confirmed one.
    """

    phase: str
    generation: int
    served: int | None = None


NO_POD = Told("gone", -1)
"""The provider has no such pod."""


class Whose(StrEnum):
    """Whose the pod is that is there, if any."""

    NOBODYS = "nobody's"
    """Nothing of that name serves or will."""
    OURS = "ours"
    """This run's bundle was the last word, and no version of anybody else served in this place."""
    NEWER = "newer"
    """Somebody's later request won."""
    OTHERS = "others'"
    """What serves, or comes back, was there before this run."""
    UNKNOWN = "unknown"
    """The provider could not be asked."""


def whose(told: Told | None, mine: Collection[int]) -> Whose:
    """Whose pod *told* is about (None: no answer), for a run whose bundles had the generations *mine*."""
    if told is None:
        return Whose.UNKNOWN
    if told.phase in ENDED:
        return Whose.NOBODYS
    if told.generation > max(mine, default=-1):
        return Whose.NEWER if mine else Whose.OTHERS
    if told.generation in mine and (told.served is None or told.served in mine):
        return Whose.OURS
    return Whose.OTHERS


def newer_won(error: TrustedPodsError, told: Told | None, mine: Collection[int]) -> bool:
    """Whether a failed request lost against a later one: as the provider said, or as it stands there."""
    said = error.rule in (GENERATION_RULE, NEWER_STATEMENT_RULE)
    return said or whose(told, mine) is Whose.NEWER


def may_give_notice(
    told: Told | None, mine: Collection[int], error: TrustedPodsError | None, *, gives_up: bool = False
) -> bool:
    """Whether a channel that this run opened may be given notice after *error*; None: a removal went well.

    Where nothing of the name serves; or where it is this run's own and never served, or serves by the
    word of a provider that broke the protocol. *gives_up*: the run goes on with another provider, so one
    that cannot be asked is given notice too: it stops whatever comes back there, before it is paid beside
    the other.
    """
    found = whose(told, mine)
    if found is Whose.UNKNOWN:
        return gives_up
    if found is Whose.OURS and told is not None:
        never = told.served is None and told.phase != "serving"
        return never or isinstance(error, RemoteProtocolError)
    return found is Whose.NOBODYS


def keeps_text(found: Whose) -> str:
    """Why a channel is left alone, for a person."""
    return {
        Whose.NOBODYS: "somebody opened it anew",
        Whose.OURS: "the pod serves",
        Whose.NEWER: "it pays for what a newer deploy brought",
        Whose.OTHERS: "it pays for the version that is there",
        Whose.UNKNOWN: "the provider cannot be asked whether something serves",
    }[found]
