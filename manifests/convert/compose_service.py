# SPDX-License-Identifier: Apache-2.0
"""One service of a Compose file as a container.

Source of the format: the Compose specification, "services".
"""

from collections.abc import Mapping

from trustedpods.manifests.convert.compose_environment import environment_of
from trustedpods.manifests.convert.compose_ports import container_ports
from trustedpods.manifests.convert.compose_rest import convert_rest
from trustedpods.manifests.convert.compose_sizes import limits_of
from trustedpods.manifests.convert.compose_volumes import ComposeVolumes
from trustedpods.manifests.convert.findings import Findings
from trustedpods.manifests.convert.parts import PodParts
from trustedpods.manifests.convert.values import (
    flag,
    image_name,
    label,
    literal,
    seconds,
    text_of,
    whole,
    words_of,
)
from trustedpods.manifests.problem import Location

_PROBE_WORDS = {"test", "interval", "timeout", "start_period", "start_interval", "retries", "disable"}
"""Of a healthcheck; a probe has one interval, so that of the start is not told apart."""

_ID_DIGITS = 10
"""Of 32 bits; Python itself refuses to read thousands."""


def container_of(
    parts: PodParts, volumes: ComposeVolumes, key: str, service: Mapping[str, object]
) -> dict[str, object]:
    """The container of service *key*; what cannot be converted is refused, line by line."""
    at: Location = ("services", key)
    found, name = parts.found, label(key)
    made: dict[str, object] = {"name": name, "image": _image(service, at, name, found)}
    for field, target in (("entrypoint", "command"), ("command", "args")):
        if service.get(field) is not None:
            made[target] = words_of(service[field], (*at, field), found)
    if service.get("working_dir") is not None:
        made["workingDir"] = text_of(service["working_dir"], (*at, "working_dir"), found)
    env = environment_of(service, at, found)
    parts_of_it = {
        "env": [{"name": one, "value": literal(value)} for one, value in env.items()],
        "ports": container_ports(parts, name, service, at),
        "resources": limits_of(service, at, parts),
        "volumeMounts": volumes.mounts(service, at),
        "readinessProbe": _probe(service, at, found),
        "securityContext": _security(service, at, found),
    }
    convert_rest(service, at, parts)
    return made | {field: value for field, value in parts_of_it.items() if value}


def _image(service: Mapping[str, object], at: Location, name: str, found: Findings) -> str:
    if "image" in service:
        if service.get("build") is not None:
            found.note(f"{name} is not built here: its `image` is taken")
        return image_name(text_of(service["image"], (*at, "image"), found), (*at, "image"), found)
    build = service.get("build")
    if build is None:
        found.refuse(at, "it has neither `image` nor `build`")
        return ""
    folder = build.get("context", ".") if isinstance(build, Mapping) else build
    where = (*at, "build", "context") if isinstance(build, Mapping) else (*at, "build")
    shown = text_of(folder, where, found)
    more = sorted(map(str, build.keys() - {"context"})) if isinstance(build, Mapping) else []
    if not more and "://" not in shown and not found.around.outside(shown):
        return f"dockerfile:{shown}"
    said = f" (with its {', '.join(more)})" if more else ""
    found.note(f"image of {name}: docker build -t {name} {shown}{said} && docker save -o {name}.tar {name}")
    return f"docker-archive:{name}.tar"


def _probe(service: Mapping[str, object], at: Location, found: Findings) -> dict[str, object] | None:
    at = (*at, "healthcheck")
    check = found.mapping(service.get("healthcheck"), at)
    test = check.get("test")
    if not check or check.get("disable") is True or test == ["NONE"]:
        return None
    probe: dict[str, object] = {}
    if isinstance(test, str):
        probe["exec"] = {"command": ["/bin/sh", "-c", text_of(test, (*at, "test"), found)]}
    elif isinstance(test, list) and len(test) > 1 and test[0] in ("CMD", "CMD-SHELL"):
        words = words_of(test[1:], (*at, "test"), found)
        probe["exec"] = {"command": words if test[0] == "CMD" else ["/bin/sh", "-c", words[0]]}
    else:
        found.refuse((*at, "test"), 'write a text, or ["CMD", "program", "word"]')
    for field, target, bounds in (
        ("interval", "periodSeconds", (1, 300)),
        ("timeout", "timeoutSeconds", (1, 60)),
        ("start_period", "initialDelaySeconds", (0, 3600)),
    ):
        value = seconds(check[field], (*at, field), found) if field in check else None
        if value is not None:
            probe[target] = min(max(value, bounds[0]), bounds[1])
    if check.get("retries") is not None:
        retries = whole(check["retries"], (*at, "retries"), found)
        if retries:
            probe["failureThreshold"] = retries
    found.note(
        "a healthcheck decides when requests come (readinessProbe); write a livenessProbe to restart by it"
    )
    for field in check.keys() - _PROBE_WORDS:
        found.refuse((*at, field), "leave it out: a probe has interval, timeout, retries and start_period")
    return probe


def _is_id(text: str) -> bool:
    """Whether it is the number of a user or a group, which has 32 bits."""
    return text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS


def _security(service: Mapping[str, object], at: Location, found: Findings) -> dict[str, object]:
    context: dict[str, object] = {}
    if service.get("user") is not None:
        user, _, group = text_of(service["user"], (*at, "user"), found).partition(":")
        context["runAsUser"] = int(user) if _is_id(user) else user
        if group:
            if _is_id(group):
                context["runAsGroup"] = int(group)
            else:
                found.refuse((*at, "user"), "write the group as a number")
    if flag(service.get("read_only"), (*at, "read_only"), found):
        context["readOnlyRootFilesystem"] = True
    return context
