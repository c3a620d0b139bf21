# SPDX-License-Identifier: Apache-2.0
"""`-o name`: the names in a verb's answer, one a line, for another command to read."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Found = Mapping[str, Any]
"""An answer, as `-o json` prints it: its schema says which fields there are."""


def _pod(answer: Found) -> Iterator[str]:
    yield answer["pod"]


def _network(answer: Found) -> Iterator[str]:
    yield f"{answer['founder']}/{answer['network']}"


def _each(field: str, *names: str) -> Callable[[Found], Iterator[str]]:
    """Of each object in *field* the first of *names* that it has."""

    def found(answer: Found) -> Iterator[str]:
        for one in answer[field]:
            yield next(str(one[name]) for name in names if one[name] is not None)

    return found


def _networks(answer: Found) -> Iterator[str]:
    """Each once: several clusters keep it."""
    kept = [one for cluster in answer["clusters"].values() for one in cluster.get("networks", ())]
    yield from dict.fromkeys(f"{one['founder']}/{one['network']}" for one in kept)


def _backups(answer: Found) -> Iterator[str]:
    if "backups" in answer:
        yield from (one["name"] for one in answer["backups"])
    else:
        yield answer.get("name", answer["pod"])


def _versions(answer: Found) -> Iterator[str]:
    if "versions" in answer:
        yield from (str(one["generation"]) for one in answer["versions"])
    else:
        yield answer["pod"]


def _context(answer: Found) -> Iterator[str]:
    if answer["current"] is not None:
        yield answer["current"]


def _contexts(answer: Found) -> Iterator[str]:
    yield from answer["contexts"]


def _nodes(answer: Found) -> Iterator[str]:
    yield from answer["nodes"]


NAMED: Mapping[str, Callable[[Found], Iterator[str]]] = {
    "backup": _backups,
    "balance": _each("channels", "name", "channel"),
    "close": _pod,
    "context fetch": _context,
    "context list": _contexts,
    "context map": _context,
    "context unmap": _context,
    "context use": _context,
    "convert": _pod,
    "delete": _pod,
    "deploy": _pod,
    "estimate": _each("offers", "provider"),
    "fund": _pod,
    "image push": _pod,
    "init": _pod,
    "list": _each("pods", "name", "channel"),
    "network apply": _network,
    "network connect": _network,
    "network delete": _network,
    "network list": _networks,
    "network status": _nodes,
    "provider list": _each("providers", "name"),
    "restart": _pod,
    "restore": _pod,
    "rollback": _versions,
    "start": _pod,
    "stop": _pod,
    "top": _each("pods", "name"),
}
"""By the verb that has `-o name`: what the names of its answer are."""


def names_of(verb: str, answer: Found) -> list[str]:
    """The names in an *answer* of *verb*, one of `NAMED`."""
    return list(NAMED[verb](answer))
