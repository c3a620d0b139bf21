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
    "context fetch",
    "context list",
    "context map",
    "context unmap",
    "context use",
    "convert",
    "delete",
    "deploy",
    "estimate",
    "events",
    "fund",
    "history",
    "image push",
    "init",
    "list",
    "lock break",
    "lock status",
    "logs",
    "network accept",
    "network apply",
    "network backup",
    "network card",
    "network connect",
    "network delete",
    "network endpoints",
    "network export",
    "network fund",
    "network history",
    "network import",
    "network init",
    "network invite",
    "network join",
    "network leave",
    "network list",
    "network logs",
    "network lost",
    "network member add",
    "network member remove",
    "network member role",
    "network plan",
    "network render",
    "network status",
    "open",
    "provider inspect",
    "provider list",
    "render",
    "restart",
    "restore",
    "rollback",
    "start",
    "state backup",
    "state compare",
    "state migrate",
    "state repair",
    "state restore",
    "state show",
    "status",
    "stop",
    "top",
    "usage",
    "validate",
    "version",
    "watch",
    "withdraw",
)
"""Verbs, as they are typed, by name."""


ERROR: Final = "error"
"""Not a verb: what every verb's object has after a failure, also of one that is not published."""

LOG_LINE: Final = "log line"
"""Not a verb: what each line of `logs -f -o json` is. A line does not name it: there may be many."""

BESIDE: Final = (ERROR, LOG_LINE)
"""What has a schema beside verbs."""


def schema_id(verb: str) -> str | None:
    """What the schema of the answers of *verb* is called; None where there is none yet."""
    return (
        f"urn:trustedpods:answers:{VERSION}:{verb.replace(' ', '-')}"
        if verb in (*PUBLISHED, *BESIDE)
        else None
    )
