# SPDX-License-Identifier: Apache-2.0
"""A Compose file as one pod: each service a container, which find each other by their names.

Source of the format: the Compose specification, https://github.com/compose-spec/compose-spec.
"""

from collections.abc import Mapping

from trustedpods.manifests.convert.compose_service import container_of
from trustedpods.manifests.convert.compose_volumes import ComposeVolumes
from trustedpods.manifests.convert.findings import Findings
from trustedpods.manifests.convert.parts import PodParts
from trustedpods.manifests.convert.values import label, text_of
from trustedpods.manifests.problem import Location

_WRITTEN_OUT = "`docker compose config` writes a file in which it is done: convert that"
_TOP = frozenset({"version", "name", "services", "volumes", "networks", "secrets", "configs"})
_ENDED_WELL = "service_completed_successfully"


def is_compose(tree: Mapping[str, object]) -> bool:
    """Whether *tree* is a Compose file: services by name, and nothing that another format has."""
    services = tree.get("services")
    return (
        isinstance(services, Mapping) and not {"apiVersion", "kind", "deployment", "profiles"} & tree.keys()
    )


def from_compose(tree: Mapping[str, object], name: str, found: Findings) -> dict[str, object]:
    """The manifest of the file's services, called *name* where the file has no name of its own."""
    for key, value in tree.items():
        if key == "include":
            found.refuse((key,), _WRITTEN_OUT)
        elif key not in _TOP and not key.startswith("x-") and value not in (None, {}, []):
            found.refuse(
                (key,), "leave it out: a Compose file has services, volumes, secrets and configs here"
            )
    top = {part: found.mapping(tree.get(part), (part,)) for part in ("volumes", "secrets", "configs")}
    _networks(found.mapping(tree.get("networks"), ("networks",)), found)
    services = {
        key: found.mapping(value, ("services", key))
        for key, value in found.mapping(tree["services"], ("services",)).items()
    }
    parts = PodParts(found)
    volumes = ComposeVolumes(parts, {part: dict(one) for part, one in top.items()})
    running = _running(services, found)
    first = _first(services, running, found)
    for key in running:
        service = services[key]
        if service.get("extends") is not None:
            found.refuse(("services", key, "extends"), _WRITTEN_OUT)
            if not service.keys() & {"image", "build"}:
                continue  # it stands elsewhere
            service = {field: value for field, value in service.items() if field != "extends"}
        made = container_of(parts, volumes, key, service)
        (parts.first if key in first else parts.containers).append(made)
    if not parts.containers and not found.problems:
        found.refuse(("services",), "no service is left that goes on running")
    own = tree.get("name")
    return parts.tree(label(text_of(own, ("name",), found)) if isinstance(own, str) else name)


def _networks(networks: Mapping[str, object], found: Findings) -> None:
    if networks:
        found.note("networks: all services are containers of one pod, and share one network")


def _running(services: Mapping[str, Mapping[str, object]], found: Findings) -> list[str]:
    """Services that `docker compose up` starts: those of a profile are left out, and told."""
    left_out = [key for key, service in services.items() if service.get("profiles")]
    if left_out:
        found.note(f"services of a profile are left out: {', '.join(left_out)}")
    return [key for key in services if key not in left_out]


def _first(
    services: Mapping[str, Mapping[str, object]], running: list[str], found: Findings
) -> dict[str, None]:
    """Services that others wait for until they have ended: init containers, in the order of the file."""
    first: dict[str, None] = {}
    together = False
    for key in running:
        wanted, at = services[key].get("depends_on"), ("services", key, "depends_on")
        if wanted is None:
            continue
        entries: Mapping[str, object] = (
            {str(one): {} for one in wanted} if isinstance(wanted, list) else found.mapping(wanted, at)
        )
        for other, how in entries.items():
            where: Location = at if isinstance(wanted, list) else (*at, other)
            if other not in services:
                found.refuse(where, f"there is no service {other!r}")
            elif found.mapping(how, where).get("condition") == _ENDED_WELL:
                first[other] = None
            else:
                together = True
    if together:
        found.note("depends_on: containers of a pod start together, so each must wait for what it calls")
    return {key: None for key in running if key in first}
