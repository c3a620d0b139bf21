# SPDX-License-Identifier: Apache-2.0
"""A network's history as a script that does it again. Pure."""

import re
import shlex

from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.networks.content import NetworkContent
from trustedpods.protocol.networks.history import HistoryRecord
from trustedpods.protocol.units import utc_text

DONE = "done"
"""The result of a command that did what it was asked; only such ones are done again."""

OF_STATE = "state "
"""How verbs begin that changed the state's own form: a network that is built anew has the newest."""


def as_script(content: NetworkContent) -> list[str]:
    """Lines of a shell script: every command that succeeded, oldest first, each under who ran it when.

    A secret that history left out is asked of the environment, and the script ends where it is not set.
    """
    lines = ["#!/bin/sh", "set -eu"]
    if content.dropped:
        lines.append(f"# {content.dropped} older commands were rotated out and are not here")
    for chunk in content.history:
        for record in chunk:
            if record.result == DONE and not record.verb.startswith(OF_STATE):
                lines += _lines(record)
    return lines


def holds_all(content: NetworkContent, other: NetworkContent) -> bool:
    """Whether *content* has every command of *other*, as it stands there: so *other* is an earlier state.

    False where *other* knows no command at all, or forgot more of them than *content*: then nobody knows.
    """
    here = [record for chunk in content.history for record in chunk]
    there = [record for chunk in other.history for record in chunk]
    return bool(there) and other.dropped <= content.dropped and all(record in here for record in there)


def _lines(record: HistoryRecord) -> list[str]:
    words = ["trustedpods", *map(shlex.quote, record.verb.split())]
    for argument in record.arguments:
        value = _variable(argument.name) if argument.value is None else shlex.quote(argument.value)
        named = [shlex.quote(argument.name)] if argument.name.startswith("-") else []
        words += named if named and argument.value == "" else [*named, value]  # a flag has no value
    return [f"# {_when(record.at)} {address_from_bytes(record.by)}", " ".join(words)]


def _variable(name: str) -> str:
    return '"${SECRET' + re.sub("[^A-Z0-9]+", "_", f"-{name}".upper()) + ':?}"'


def _when(at: int) -> str:
    try:
        return utc_text(at)
    except (OverflowError, ValueError, OSError):
        return f"at {at}"
