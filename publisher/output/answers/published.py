# SPDX-License-Identifier: Apache-2.0
"""Which verbs' answers have a schema, and how that is called: no more, so that a run costs nothing for it."""

from typing import Final

VERSION: Final = "v1"
"""Of all answers together. Within it fields come, and none goes or changes its meaning."""

PUBLISHED: Final = (
    "attest",
    "audit",
    "backup",
    "balance",
    "bill",
    "close",
    "delete",
    "deploy",
    "estimate",
    "events",
    "fund",
    "image push",
    "list",
    "logs",
    "network status",
    "open",
    "provider inspect",
    "provider list",
    "restart",
    "restore",
    "rollback",
    "start",
    "status",
    "stop",
    "top",
    "usage",
    "watch",
    "withdraw",
)
"""Verbs, as they are typed, by name."""


ERROR: Final = "error"
"""Not a verb: what every verb's object has after a failure, also of one that is not published."""


def schema_id(verb: str) -> str | None:
    """What the schema of the answers of *verb* is called; None where there is none yet."""
    return (
        f"urn:trustedpods:answers:{VERSION}:{verb.replace(' ', '-')}" if verb in (*PUBLISHED, ERROR) else None
    )
