# SPDX-License-Identifier: Apache-2.0
"""Which answer of several nodes is believed: the one that enough of them gave. Pure.

Answers are compared by what this project reads of them: nodes add fields of their own. A contract's refusal
is an answer; what a node says of itself (too many requests, a state that it pruned) is none.
"""

import json
from collections import Counter
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
_REVERTED, _REFUSED = 3, '{"error":"refused"}'
_BARE_REFUSAL: Final = {"code": _REVERTED, "message": "execution reverted"}
_NOTHING = '{"result":null}'

DEEPEST: Final = 16
"""Levels of lists and objects in an answer: a receipt's logs lie four deep, and what looks through an answer
goes one call deeper for each."""


@dataclass(frozen=True, slots=True)
class OneAnswer:
    """What a node (by its number) said; `trouble` is why it said nothing, and then `value` is nothing.

    `passing` trouble may be over at the next try.
    """

    node: int
    value: Json = None
    trouble: str | None = None
    passing: bool = False


@dataclass(frozen=True, slots=True)
class NodesVerdict:
    """`believed` is None while too few agree. `differing` answered otherwise than what is believed.

    Of what is believed only that is told which was compared: what one node adds to it is its own word.

    Where one knows of nothing and another of something neither differs: a block may lie between them.

    `passing`: some trouble may be over at the next try.
    `vague`: enough refuse, and not with the same words; what others say may tell which are true.

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
    vague: bool = False
    passing: bool = False


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
        passing = any(one.passing for one in answers)
        return NodesVerdict(
            told, failing=failing, mute=mute, most_alike=most, answered=answered, passing=passing
        )
    agreeing = frozenset(one.node for one in groups[winner])
    others = [] if winner == _NOTHING else [ones for vote, ones in groups.items() if vote != _NOTHING]
    differing = frozenset(one.node for ones in others for one in ones) - agreeing
    values = [one.value for one in groups[winner]]
    believed = OneAnswer(groups[winner][0].node, _told(method, winner, values, agree))
    vague = winner == _REFUSED and _words(values, agree) is None
    return NodesVerdict(believed, agreeing, differing, failing, mute, most, answered, vague)


def is_flat(value: Json, levels: int = DEEPEST) -> bool:
    """Whether nothing lies deeper in *value* than that: only such an answer can be looked through."""
    if isinstance(value, dict | list):
        inside = value.values() if isinstance(value, dict) else value
        return levels > 0 and all(is_flat(one, levels - 1) for one in inside)
    return True


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


def shared_refusal(answers: Sequence[Json], agree: int) -> Json:
    """Of nodes that all tell a refusal: with the contract's words where *agree* nodes tell the same ones.

    Some nodes tell none, and one that lies could name a reason of its own.
    """
    return _answer({"error": {**_BARE_REFUSAL, **(_words(answers, agree) or {})}})


def _words(answers: Sequence[Json], agree: int) -> Mapping[str, str] | None:
    """What enough refusals say alike: the data, or the message where enough have no data. None: nothing."""
    told = Counter(_data_of(one["error"]) for one in answers)
    data, many = told.most_common(1)[0]
    if many < agree:
        return None
    if data is not None:
        return {"data": data}
    messages = Counter(
        str(one["error"].get("message", "")) for one in answers if _data_of(one["error"]) is None
    )
    message, many = messages.most_common(1)[0]
    return {"message": message} if many >= agree and message else {}


def _data_of(error: Json) -> str | None:
    data = error.get("data")
    words = data.removeprefix("Reverted ").lower() if isinstance(data, str) else ""
    return words if words.startswith("0x") and len(words) > 2 else None


def _told(method: str, vote: str, values: Sequence[Json], agree: int) -> Json:
    """The answer that a vote stands for."""
    if method == BATCH:
        calls: dict[int, list[Json]] = {number: [] for number in _votes(values[0])}
        for one in [one for answer in values for one in answer]:
            calls[one["id"]].append(one)
        votes = _votes(values[0])
        return [_told("eth_call", votes[n], calls[n], agree) | {"id": n} for n in sorted(calls)]
    return shared_refusal(values, agree) if vote == _REFUSED else _answer(json.loads(vote))


def _answer(fields: Mapping[str, Json]) -> Json:
    return {"jsonrpc": "2.0", "id": 0, **fields}


def _vote(method: str, answer: Json) -> str | None:
    """Answers that mean the same are equal here; None where it is none."""
    if method == BATCH:
        votes = _votes(answer)
        return _plain([[name, votes[name]] for name in sorted(votes)]) if votes else None
    if not isinstance(answer, dict):
        return None
    error = answer.get("error")
    if error is not None:
        return _REFUSED if is_refusal(error) else None  # some nodes add the contract's words
    return _plain({"result": _read(method, answer.get("result"))})


def _votes(answers: Json) -> dict[int, str]:
    """Of each call of a batch, by its number; nothing where one is missing or no answer."""
    if not isinstance(answers, list):
        return {}
    votes = {
        one["id"]: vote
        for one in answers
        if isinstance(one, dict) and type(one.get("id")) is int
        if (vote := _vote("eth_call", one)) is not None
    }
    return votes if len(votes) == len(answers) else {}


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
        return _fields(result, _MINED) | {"logs": read}
    return result


def _fields(value: Json, names: Sequence[str]) -> Json:
    return {name: value.get(name) for name in names} if isinstance(value, dict) else value


def _plain(value: Json) -> str:
    """JSON in one form: hex digits in small letters, names in order."""
    return json.dumps(_small_letters(value), sort_keys=True, separators=(",", ":"))


def _small_letters(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _small_letters(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_small_letters(one) for one in value]
    return value.lower() if isinstance(value, str) else value


def _complaint(answer: Json) -> str:
    error = answer.get("error") if isinstance(answer, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return f"says {str(message)[:200]}" if message else "says what is no answer"
