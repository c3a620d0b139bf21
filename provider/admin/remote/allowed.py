# SPDX-License-Identifier: Apache-2.0
"""What may be asked from outside, and what of an answer goes out: names and numbers, by lists. Pure.

What stands in no list does not go out, so a field that somebody adds to an answer stays inside until it is
named here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pydantic import JsonValue

from trustedpods.protocol.errors import BadInput, Refused, TrustedPodsError


class Leaf(Enum):
    """How a field goes out: as it is, as numbers by their names, or empty (it may quote what pods say)."""

    PLAIN = "plain"
    NUMBERS = "numbers"
    EMPTY = "empty"


ToldFields = Mapping[str, "Leaf | ToldFields"]

PLAIN, NUMBERS, EMPTY = Leaf.PLAIN, Leaf.NUMBERS, Leaf.EMPTY


@dataclass(frozen=True, slots=True)
class RemoteVerb:
    """One verb: the fields of its question, those of its answer, and whether it changes something."""

    asked: frozenset[str]
    told: ToldFields
    changes: bool = False


def _plain(*names: str) -> dict[str, Leaf | ToldFields]:
    return dict.fromkeys(names, PLAIN)


_POD: Final[ToldFields] = {
    **_plain("label", "channel", "namespace", "phase", "scale", "replicas", "ready", "left", "claimed"),
    "runwaySeconds": PLAIN,
    "services": EMPTY,  # named by publishers
    "why": EMPTY,  # may quote what a program wrote before it ended
}
_BUSY_POD: Final[ToldFields] = {
    **_POD,
    **_plain("inFlight", "requests", "proxy"),
    "tcp": EMPTY,  # by services, which publishers name
    "size": _plain("cpuMilli", "memoryMib", "scratchMib", "volumeMib"),
}
_GAS: Final[ToldFields] = {**_plain("spent", "cap"), "waiting": NUMBERS}
_ROOM: Final[ToldFields] = _plain("cpuMilli", "memoryMib", "storageMib")
_EVICTED: Final[ToldFields] = {"pods": _plain("label", "phase", "settled")}

_OVERVIEW: Final[ToldFields] = {
    "pods": _BUSY_POD,
    **_plain("replicas", "conversations", "freeSlots", "spoolBytes", "spoolQuotaBytes", "gasWei"),
    "gasToday": _GAS,
    **_plain("certificateDays", "total"),
}
_HEALTH: Final[ToldFields] = {
    **_plain("now", "since", "trust", "pods", "replicas", "ready", "conversations", "freeSlots"),
    **_plain("spoolBytes", "spoolQuotaBytes", "gasWei", "diskState", "diskFreeMib", "storeFailures"),
    **_plain("lastClaim", "oldestClaim", "itemsPaid", "itemsCut", "shortestRunwayS", "certificateDays"),
    **_plain("certificateFailures", "certificateOverdue", "isolationTried", "waiting"),
    **_plain("wakesServed", "wakesRefused", "wakesFailing", "errorsLogged", "warningsLogged", "draining"),
    "drainAt": PLAIN,
    **_plain("egressLimited", "keyChange"),
    **dict.fromkeys(("podsByPhase", "podsByScale", "answered", "claimsByState"), NUMBERS),
    "gasToday": _GAS,
    "chainNodes": {**_plain("place", "state"), "told": EMPTY},
    "coldStarts": _plain("count", "seconds", "atMost"),
    "wakeFailures": {**_plain("label", "failures"), "why": EMPTY},
    "traffic": _plain("inFlight", "requests", "kib"),
    "capacity": {
        **_plain("nodes", "overcommit"),
        **dict.fromkeys(("offered", "running", "asleep", "kept"), _ROOM),
    },
    "isolationDoubt": EMPTY,  # it and the next quote what Kubernetes said; empty is not none
    "trouble": EMPTY,
}

VERBS: Final[Mapping[str, RemoteVerb]] = {
    "health": RemoteVerb(frozenset(), _HEALTH),
    "overview": RemoteVerb(frozenset({"skip", "most"}), _OVERVIEW),
    "pods": RemoteVerb(frozenset({"all"}), {"pods": _POD}),
    "identity": RemoteVerb(frozenset(), _plain("profile", "endpoint", "meter", "tee", "chip")),
    "drain": RemoteVerb(frozenset({"reason", "undo", "hours"}), _EVICTED, changes=True),
    "evict": RemoteVerb(frozenset({"target", "reason"}), _EVICTED, changes=True),
}
"""`claim` is not among them, as the daemon claims by itself. `disclose`, `evidence` tell more than numbers,
`store` quotes the system's errors, whose numbers are in `health`, and `deny` of `evict` shuts out a key."""

SAID_RULES: Final = frozenset(
    {"operator-signature", "operator-verb", "expired", "expiry-too-far", "replay", "busy", "unknown-pod"}
)
"""Refusals whose words are ours. Of others they may be Kubernetes', of a pod."""


def may_say(error: TrustedPodsError) -> bool:
    """Whether an error goes out in its words; else as its code alone."""
    return isinstance(error, BadInput) or error.rule in SAID_RULES


def allowed(question: Mapping[str, object]) -> RemoteVerb:
    """The verb of a question from outside; Refused (`operator-verb`) names a verb or a field that is not."""
    verb = question.get("verb")
    found = VERBS.get(verb) if isinstance(verb, str) else None
    if found is None:
        names = ", ".join(sorted(VERBS))
        raise Refused(f"not from outside: {verb!r:.80}", hint=f"these: {names}", rule="operator-verb")
    for name in question:
        if name != "verb" and name not in found.asked:
            raise Refused(f"not from outside, in `{verb}`: {name!r:.80}", rule="operator-verb")
    return found


def let_out(value: JsonValue, fields: Leaf | ToldFields) -> JsonValue:
    """As much of an answer as may leave."""
    if isinstance(value, list) and fields is not EMPTY:
        return [let_out(one, fields) for one in value]
    if isinstance(fields, Leaf):
        return _leaf(value, fields)
    if isinstance(value, dict):
        return {name: let_out(one, fields[name]) for name, one in value.items() if name in fields}
    return None


def _leaf(value: JsonValue, leaf: Leaf) -> JsonValue:
    if leaf is NUMBERS and isinstance(value, dict):
        return {name: one for name, one in value.items() if isinstance(one, int | float)}
    if leaf is PLAIN and not isinstance(value, dict | list):
        return value
    if isinstance(value, str):
        return ""
    if isinstance(value, list):
        return []
    return {} if isinstance(value, dict) else None
