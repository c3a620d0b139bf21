# SPDX-License-Identifier: Apache-2.0
"""Takes known words out of a manifest: those that ask for nothing new go, the others are problems.

Port names, which Kubernetes takes beside numbers, become the numbers that they stand for.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.words.places import MANIFEST
from trustedpods.manifests.words.word import Place, Word

MAX_NAME = 64
"""Characters of an unknown word that are compared with the known ones, and shown."""


def settled(tree: object) -> tuple[object, list[Problem]]:
    """*tree*, in plain types, in the model's own words; and what of it nobody can take.

    Words that are neither the model's nor known stay: the model refuses them.
    """
    found: list[Problem] = []
    plain = _settle(tree, MANIFEST, (), found)
    if isinstance(plain, dict):
        found += _number_ports(plain)
        _fill_volumes(plain)
    return plain, found


def _settle(node: object, place: Place, at: Location, found: list[Problem]) -> object:
    if isinstance(node, list):
        return [_settle(entry, place, (*at, index), found) for index, entry in enumerate(node)]
    if not isinstance(node, Mapping):
        return node
    kept: dict[Any, Any] = {}
    for name, value in node.items():
        word = place.word(name) if isinstance(name, str) else None
        if word is not None:
            found += _judged(word, value, (*at, name))
        elif isinstance(name, str) and name not in place.fields and (meant := _meant(name, place)):
            found.append(Problem((*at, name), f"unknown field; did you mean {meant}?{_blank(name)}"))
        else:
            below = place.parts.get(name)
            kept[name] = value if below is None else _settle(value, below, (*at, name), found)
    return kept


def _judged(word: Word, value: object, at: Location) -> Iterator[Problem]:
    """Nothing where *value* changes nothing; a mapping of several words is judged word by word."""
    if word.asks_for_nothing_new(value):
        return
    if word.inside is None or not isinstance(value, Mapping):
        yield Problem(at, word.advice)
        return
    for name, part in value.items():
        known = word.inside.word(str(name))
        if known is None:
            yield Problem((*at, str(name)[:MAX_NAME]), "unknown field")
        else:
            yield from _judged(known, part, (*at, name))


def _meant(name: str, place: Place) -> str | None:
    """The field that was probably meant."""
    if len(name) > MAX_NAME or place.model is None:
        return None
    aliases = [str(field.alias or own) for own, field in place.model.model_fields.items()]
    close = get_close_matches(name, aliases, 1)
    return close[0] if close else None


def _blank(name: str) -> str:
    """Within braces `{emptyDir:}` is one word to YAML 1.2 readers, its colon too."""
    return f" Write a blank behind the colon: `{name} ...`" if name.endswith(":") else ""


def _number_ports(tree: dict[Any, Any]) -> Iterator[Problem]:
    """Puts numbers where names of container ports stand; a name that no port has is a problem."""
    spec = tree.get("spec")
    if not isinstance(spec, dict):
        return
    everywhere: dict[object, object] = {}
    for field in ("initContainers", "containers"):
        for index, container in enumerate(_dicts(spec.get(field))):
            yield from _of_container(container, everywhere, ("spec", field, index))
    for index, service in enumerate(_dicts(spec.get("services"))):
        for number, port in enumerate(_dicts(service.get("ports"))):
            at: Location = ("spec", "services", index, "ports", number, "targetPort")
            yield from _numbered(port, "targetPort", everywhere, at)


def _of_container(
    container: dict[Any, Any], everywhere: dict[object, object], at: Location
) -> Iterator[Problem]:
    own = {port["name"]: port.get("containerPort") for port in _dicts(container.get("ports")) if _named(port)}
    for name, number in own.items():
        if everywhere.setdefault(name, number) != number:
            yield Problem((*at, "ports"), f"two container ports are named {name!r}")
    for kind in ("readinessProbe", "livenessProbe", "startupProbe"):
        yield from _probe(container.get(kind), own, (*at, kind))
    lifecycle = container.get("lifecycle")
    if isinstance(lifecycle, dict):
        yield from _probe(lifecycle.get("preStop"), own, (*at, "lifecycle", "preStop"))


def _fill_volumes(tree: dict[Any, Any]) -> None:
    """`emptyDir:` with nothing behind it is an empty one, as Kubernetes takes it."""
    spec = tree.get("spec")
    for volume in _dicts(spec.get("volumes")) if isinstance(spec, dict) else []:
        kinds = [value for name, value in volume.items() if name != "name"]
        if "emptyDir" in volume and all(value is None for value in kinds):
            volume["emptyDir"] = {}


def _probe(probe: object, own: dict[object, object], at: Location) -> Iterator[Problem]:
    for kind in ("httpGet", "tcpSocket"):
        asked = probe.get(kind) if isinstance(probe, dict) else None
        if isinstance(asked, dict):
            yield from _numbered(asked, "port", own, (*at, kind, "port"))


def _numbered(
    holder: dict[Any, Any], key: str, numbers: dict[object, object], at: Location
) -> Iterator[Problem]:
    name = holder.get(key)
    if not isinstance(name, str) or name.isdecimal():
        return
    if name in numbers:
        holder[key] = numbers[name]
    else:
        known = ", ".join(sorted(map(str, numbers)))
        yield Problem(at, f"no container port is named {name!r}" + (f" (there is: {known})" if known else ""))
        holder.pop(key)
        if key == "port":
            holder[key] = 1  # the one problem is enough


def _named(port: dict[Any, Any]) -> bool:
    return isinstance(port.get("name"), str)


def _dicts(value: object) -> list[dict[Any, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
