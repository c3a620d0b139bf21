# SPDX-License-Identifier: Apache-2.0
"""What another state of a network would change, one line for each thing. Pure."""

from trustedpods.protocol.networks.content import NetworkContent

MAX_TOLD = 8
"""Differences that are told one by one: enough to see whether it is the right file."""


def differences(present: NetworkContent | None, other: NetworkContent) -> tuple[str, ...]:
    """How *other* differs from *present*, component by component; at most `MAX_TOLD` and a count."""
    before = {} if present is None else {one.name: one for one in present.components}
    after = {one.name: one for one in other.components}
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if new is None:
            found.append(f"{name} would be gone")
        elif old is None:
            found.append(f"{name} would be there, {new.phase} in {new.cluster}")
        elif old != new:
            what = "its manifest" if old.phase == new.phase else f"{old.phase} -> {new.phase}"
            found.append(f"{name}: {what}")
    if len(found) > MAX_TOLD:
        found = [*found[:MAX_TOLD], f"and {len(found) - MAX_TOLD} more"]
    return tuple(found)
