# SPDX-License-Identifier: Apache-2.0
"""How two bundles of one pod differ, field by field, as a person reads it. Pure.

Values of variables, programs and secrets are never part of it: only their names.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.versions import why_stopped, why_stopped_before
from trustedpods.protocol.messages.bundle import Bundle

UpdateEffect = Literal["create", "in place", "restart", "keep", "unchanged"]
"""`create`: nothing of the pod runs now. `in place`: the newer version proves itself beside the one before.
`restart`: that one is stopped first, as the two must not run at once. `keep`: what runs goes on; only what
is paid, who is told and which machines are accepted changes."""

MAX_VALUE = 60
"""Characters of a value that are shown; a line is for a terminal."""

_IDENTITIES = ("name", "mountPath", "ip", "port", "key")
"""Fields by which an entry of a list is known again, the first that every entry has and no two share."""

_SILENT = frozenset({"command", "args"})
"""Fields of containers that may hold a secret of their own: that they changed is shown, and not to what."""

_ELSEWHERE = frozenset({"apiVersion", "kind", "image"})
"""Told by others: an image by its digest."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One thing that changes. A side is None where the thing is not there, "" where it is not shown."""

    what: str
    before: str | None
    after: str | None

    @property
    def text(self) -> str:
        """One line for a person."""
        if self.before is None:
            return f"{self.what}: new" + (f", {self.after}" if self.after else "")
        if self.after is None:
            return f"{self.what}: gone"
        return f"{self.what}: {self.before} -> {self.after}" if self.before or self.after else self.what


def differences(before: Bundle, after: Bundle) -> tuple[FieldChange, ...]:
    """All that differs: images, the manifest, secrets, seeds, who commands it, its address book."""
    changes = image_changes(
        {image.name: image.blobs[0].digest for image in before.images},
        {image.name: image.blobs[0].digest for image in after.images},
    )
    changes += _manifest_changes(json.loads(before.manifest), json.loads(after.manifest))
    secrets = [{one.name: one.files for one in bundle.secrets} for bundle in (before, after)]
    changes += _named("secret", *secrets)
    seeds = [
        {f"{one.volume}{'' if one.ordinal is None else f' of replica {one.ordinal}'}": one.files for one in s}
        for s in (before.seeds, after.seeds)
    ]
    changes += _named("seed of volume", *seeds)
    if before.commanders != after.commanders:
        changes.append(FieldChange("who may command the pod changes", "", ""))
    if before.book != after.book:
        changes.append(FieldChange("its address book changes", "", ""))
    return tuple(changes)


def image_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[FieldChange]:
    """Digests of images by container."""
    names = list(dict.fromkeys([*before, *after]))
    return [
        FieldChange(f"image of {name}", before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    ]


def lost_volumes(before: PodManifest, after: PodManifest) -> tuple[str, ...]:
    """Persistent volumes that the newer version does not have."""
    return tuple(name for name in before.persistent_volumes if name not in after.persistent_volumes)


def effect_of(before: PodManifest | None, after: PodManifest) -> tuple[UpdateEffect, str]:
    """How an update to *after* is made over what runs, as providers do it, and why.

    *before* is None where it is not known here.
    """
    why = why_stopped(after) if before is None else why_stopped_before(before, after)
    if why:
        return "restart", why
    return "in place", "the newer version proves itself beside the one before"


def _named(
    what: str, before: Mapping[str, Mapping[str, bytes]], after: Mapping[str, Mapping[str, bytes]]
) -> list[FieldChange]:
    """Files by the name of their part; contents are not shown."""
    changes = []
    for part in dict.fromkeys([*before, *after]):
        old, new = before.get(part, {}), after.get(part, {})
        changes += [
            _hidden(f"{what} {part}, {file}", file in old, file in new)
            for file in dict.fromkeys([*old, *new])
            if old.get(file) != new.get(file)
        ]
    return changes


def _hidden(what: str, was: bool, will: bool) -> FieldChange:
    if was and will:
        return FieldChange(f"{what}: changes", "", "")
    return FieldChange(what, "" if was else None, "" if will else None)


def _manifest_changes(before: object, after: object) -> list[FieldChange]:
    old, new = dict(_leaves(before, ())), dict(_leaves(after, ()))
    changes: dict[str, FieldChange] = {}
    for path in dict.fromkeys([*old, *new]):
        if old.get(path) == new.get(path) or path[-1] in _ELSEWHERE:
            continue
        variable = next((at for at, part in enumerate(path) if part == "env"), None)
        if variable is not None and len(path) > variable + 1:
            what = f"variable {path[variable + 1].strip('[]')} of {path[variable - 1].strip('[]')}"
            head = path[: variable + 2]
            was, will = (any(one[: len(head)] == head for one in side) for side in (old, new))
            changes[what] = _hidden(what, was, will)
        elif path[-1] in _SILENT:
            changes[_text(path)] = _hidden(_text(path), path in old, path in new)
        else:
            changes[_text(path)] = FieldChange(_text(path), _value(old.get(path)), _value(new.get(path)))
    return list(changes.values())


def _leaves(tree: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Each value of a manifest with the names that lead to it; what says nothing is left out."""
    if tree is None or tree in ({}, []):
        return
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _leaves(value, (*path, str(key)))
    elif isinstance(tree, list) and (keys := _identities(tree)):
        for key, value in zip(keys, tree, strict=True):
            yield from _leaves(value, (*path, f"[{key}]"))
    else:
        yield path, tree


def _identities(entries: Sequence[object]) -> Collection[str]:
    """What tells the entries of a list apart; nothing where they are plain values or nothing does."""
    if not all(isinstance(entry, Mapping) for entry in entries):
        return ()
    for field in _IDENTITIES:
        found = [str(entry.get(field)) for entry in entries if isinstance(entry, Mapping)]
        if len(set(found)) == len(entries) and "None" not in found:
            return found
    return [str(index) for index in range(len(entries))]


def _text(path: tuple[str, ...]) -> str:
    return ".".join(path).removeprefix("spec.").replace(".[", "[")


def _value(value: object) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 3] + "..."
