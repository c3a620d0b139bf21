# SPDX-License-Identifier: Apache-2.0
"""Sizes and replicas of a Compose service.

Source of the format: the Compose specification, "services" and the Compose Deploy specification.
"""

from collections.abc import Callable, Mapping

from trustedpods.manifests.convert.parts import PodParts
from trustedpods.manifests.convert.values import mebibytes, millis, whole
from trustedpods.manifests.problem import Location


def limits_of(service: Mapping[str, object], at: Location, parts: PodParts) -> dict[str, object]:
    """`resources` of one container, from whichever field has them."""
    found = parts.found
    limits: dict[str, object] = {}
    deploy = found.mapping(service.get("deploy"), (*at, "deploy"))
    sizes = found.mapping(deploy.get("resources"), (*at, "deploy", "resources"))
    inner = found.mapping(sizes.get("limits"), (*at, "deploy", "resources", "limits"))
    if sizes.get("reservations") is not None:
        found.note("reservations are not asked for: a pod gets, and pays, exactly its limits")
        devices = found.mapping(sizes["reservations"], (*at, "deploy", "resources", "reservations"))
        if devices.get("devices"):
            found.refuse(
                (*at, "deploy", "resources", "reservations", "devices"), "devices are not supported yet"
            )
    ways: list[tuple[Mapping[str, object], str, Location, str, Callable[..., str | None]]] = [
        (service, "cpus", at, "cpu", millis),
        (service, "mem_limit", at, "memory", mebibytes),
        (inner, "cpus", (*at, "deploy", "resources", "limits"), "cpu", millis),
        (inner, "memory", (*at, "deploy", "resources", "limits"), "memory", mebibytes),
    ]
    for tree, field, where, name, read in ways:
        if tree.get(field) is not None and (size := read(tree[field], (*where, field), found)):
            limits[name] = size
    for field in inner.keys() - {"cpus", "memory"}:
        found.refuse(
            (*at, "deploy", "resources", "limits", field), "leave it out: cpus and memory are limited"
        )
    _deploy(deploy, (*at, "deploy"), service, parts)
    return {"limits": limits} if limits else {}


def _deploy(
    deploy: Mapping[str, object], at: Location, service: Mapping[str, object], parts: PodParts
) -> None:
    found = parts.found
    for field, value in deploy.items():
        if field in ("resources", "labels") or value is None or (field, value) == ("mode", "replicated"):
            continue
        if field == "replicas":
            _replicas(value, (*at, field), parts)
        elif (
            field == "restart_policy" and found.mapping(value, (*at, field)).get("condition", "any") == "any"
        ):
            continue
        elif field in ("update_config", "rollback_config", "endpoint_mode"):
            found.note("an update proves the newer version beside the one before, which goes on if it fails")
        else:
            found.refuse(
                (*at, field), "leave it out: a pod has sizes and replicas, and its provider the nodes"
            )
    if service.get("scale") is not None:
        _replicas(service["scale"], (*at[:-1], "scale"), parts)


def _replicas(value: object, at: Location, parts: PodParts) -> None:
    number = whole(value, at, parts.found)
    if number is None:
        return
    if number < 1:
        parts.found.refuse(at, "write 1 or more")
    elif parts.scale.setdefault("max", number) != number:
        parts.found.refuse(at, "all containers of a pod have as many replicas: give each service the same")
    elif number > 1:
        parts.scale["min"] = number
