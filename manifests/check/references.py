# SPDX-License-Identifier: Apache-2.0
"""References to variables, `$(NAME)`: which of them name nothing, and so stay as they are."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.spec.container import Container
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.scale import SLEEP_URL
from trustedpods.manifests.spec.volume import Volume

TOLD = ("TRUSTEDPODS_POD", "TRUSTEDPODS_CHANNEL", "TRUSTEDPODS_PROVIDER", "TRUSTEDPODS_URLS")
"""What every container is told of its pod, before its own variables."""

_REFERENCE = re.compile(r"\$\$|\$\(([^()$]*)\)")
"""`$$` stands for one `$`, so `$$(A)` refers to nothing (golang/expansion in Kubernetes)."""


MAX_NAME = 64
"""Characters of a name that a warning repeats."""


def unknown_references(manifest: PodManifest) -> Iterator[Problem]:
    """References that Kubernetes leaves as they are: no mistake in itself, as text may look like one."""
    volumes = {volume.name: volume for volume in manifest.spec.volumes}
    told = (*TOLD, SLEEP_URL) if manifest.spec.scale.own_sleep else TOLD
    parts: list[tuple[str, Sequence[Container]]] = [
        ("initContainers", manifest.spec.init_containers),
        ("containers", manifest.spec.containers),
    ]
    for field, containers in parts:
        for index, container in enumerate(containers):
            yield from _of_container(("spec", field, index), container, volumes, told)


def _of_container(
    at: Location, container: Container, volumes: Mapping[str, Volume], told: Collection[str]
) -> Iterator[Problem]:
    known = set(told)
    for source in container.env_from:
        volume = volumes.get(source.secret_ref.name)
        if volume is not None and volume.secret is not None:
            known |= {source.prefix + key for key in volume.secret.keys}
    for index, variable in enumerate(container.env):
        later = {one.name for one in container.env[index:]} - known
        yield from _unknown((*at, "env", index, "value"), variable.value or "", known, later)
        known.add(variable.name)
    for field, words in (("command", container.command), ("args", container.args)):
        for index, word in enumerate(words):
            yield from _unknown((*at, field, index), word, known)


def _unknown(
    at: Location, text: str, known: Collection[str], later: Collection[str] = ()
) -> Iterator[Problem]:
    for match in _REFERENCE.finditer(text):
        name = match[1]
        if name is not None and name not in known:
            why = "is defined further down" if name in later else "is no variable of this container"
            yield Problem(at, _warning(name[:MAX_NAME], why))


def _warning(name: str, why: str) -> str:
    return f"$({name}) stays as it is: it {why}; $$({name}) says that it is meant so"
