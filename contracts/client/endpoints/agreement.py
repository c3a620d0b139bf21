# SPDX-License-Identifier: Apache-2.0
"""Which answer of several nodes is believed: the one that enough of them gave. Pure.

Answers are compared by what this project reads of them: nodes add fields of their own. A contract's refusal
is an answer; what a node says of itself (too many requests, a state that it pruned) is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Json: TypeAlias = Any
"""A value as the JSON parser gave it."""

BATCH: Final = "a batch of calls"
"""In place of a method: the answer is a list of answers."""

_HEADER = ("number", "hash", "timestamp", "baseFeePerGas")
_LOG = ("address", "topics", "data", "blockNumber", "logIndex", "transactionHash")
_MINED = (
    "transactionHash", "blockNumber", "blockHash", "status", "gasUsed", "contractAddress", "from",
    "effectiveGasPrice",
)  # fmt: skip
_REVERTED, _REFUSED = 3, "refused"
_NOTHING = "result None"


@dataclass(frozen=True, slots=True)
class OneAnswer:
    """What a node (by its number) said; `trouble` is why it said nothing, and then `value` is nothing."""

    node: int
    value: Json = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class NodesVerdict:
    """`believed` is None while too few agree. `differing` answered otherwise than what is believed.

    Where one knows of nothing and another of something neither differs: a block may lie between them.

    `failing` gave no answer, of which `mute` gave no sign at all; `most_alike` is the size of the largest
    group, `answered` of all together.
    """

    believed: OneAnswer | None
    agreeing: frozenset[int] = frozenset()
    differing: frozenset[int] = frozenset()
    failing: Mapping[int, str] = field(default_factory=dict)
    mute: frozenset[int] = frozenset()
    most_alike: int = 0
    answered: int = 0


def judge(method: str, answers: Sequence[OneAnswer], agree: int) -> NodesVerdict:
    """The verdict over answers to one request so far; *agree* nodes are enough.

    Of several that have enough the one that was complete first wins: there is one only, where *agree* is more
    than half of the nodes. Where *agree* nodes complain of themselves, the first complaint is the answer.
    """
    groups: dict[str, list[OneAnswer]] = {}
    failing: dict[int, str] = {}
    complaints: list[OneAnswer] = []
    winner: str | None = None
    for one in answers:
        vote = None if one.trouble else _vote(method, one.value)
        if vote is None:
            failing[one.node] = one.trouble or _complaint(one.value)
            complaints += [one] if one.trouble is None else []
            continue
        groups.setdefault(vote, []).append(one)
        if winner is None and len(groups[vote]) >= agree:
            winner = vote
    most, answered = max(map(len, groups.values()), default=0), sum(map(len, groups.values()))
    mute = frozenset(one.node for one in answers if one.trouble)
    if winner is None:
        told = complaints[0] if len(complaints) >= agree else None
        return NodesVerdict(told, failing=failing, mute=mute, most_alike=most, answered=answered)
    agreeing = frozenset(one.node for one in groups[winner])
    others = [] if winner == _NOTHING else [ones for vote, ones in groups.items() if vote != _NOTHING]
    differing = frozenset(one.node for ones in others for one in ones) - agreeing
    return NodesVerdict(groups[winner][0], agreeing, differing, failing, mute, most, answered)


def newest_shared(heights: Mapping[int, int], agree: int) -> int | None:
    """The highest block that *agree* nodes have, by each one's newest; None where too few told theirs.

    One that runs ahead moves nothing, nor does one that lags while enough do not.
    """
    found = sorted(heights.values(), reverse=True)
    return found[agree - 1] if len(found) >= agree else None


def middle(values: Sequence[int]) -> int:
    """The lower median: no single node moves it further than to its neighbour's."""
    return sorted(values)[(len(values) - 1) // 2]


def is_refusal(error: Json) -> bool:
    """Whether an error is a contract's: nodes tell it by data, by the code 3, or by words alone."""
    if not isinstance(error, dict):
        return False
    data = error.get("data")
    told = isinstance(data, str) and data.removeprefix("Reverted ").startswith("0x") and len(data) > 2
    return told or error.get("code") == _REVERTED or "revert" in str(error.get("message", "")).lower()


def _vote(method: str, answer: Json) -> str | None:
    """Answers that mean the same are equal here; None where it is none."""
    if method == BATCH:
        return _vote_of_batch(answer)
    if not isinstance(answer, dict):
        return None
    error = answer.get("error")
    if error is not None:
        if not is_refusal(error):
            return None
        return _REFUSED  # some nodes add the contract's words, and some do not
    return "result " + _plain(_read(method, answer.get("result")))


def _vote_of_batch(answers: Json) -> str | None:
    if not isinstance(answers, list) or not all(isinstance(one, dict) for one in answers):
        return None
    votes = {str(one.get("id")): _vote("eth_call", one) for one in answers}
    if not votes or len(votes) != len(answers) or None in votes.values():
        return None
    return _plain(votes)


def _read(method: str, result: Json) -> Json:
    """What is read of a result; all of it where that is not known."""
    if method == "eth_getBlockByNumber":
        return _fields(result, _HEADER)
    if method == "eth_getLogs" and isinstance(result, list):
        return [_fields(log, _LOG) for log in result]
    if method == "eth_getTransactionByHash":
        return _fields(result, ("input",))
    if method == "eth_getTransactionReceipt" and isinstance(result, dict):
        logs = result.get("logs")
        read = [_fields(log, _LOG) for log in logs] if isinstance(logs, list) else logs
        return [_fields(result, _MINED), read]
    return result


def _fields(value: Json, names: Sequence[str]) -> Json:
    return {name: value.get(name) for name in names} if isinstance(value, dict) else value


def _plain(value: Json) -> str:
    """Of JSON, in one form: hex digits in small letters, names in order."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{_plain(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_plain, value)) + "]"
    return repr(value.lower() if isinstance(value, str) else value)


def _complaint(answer: Json) -> str:
    error = answer.get("error") if isinstance(answer, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return f"says {str(message)[:200]}" if message else "says what is no answer"
