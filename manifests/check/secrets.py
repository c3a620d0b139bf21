# SPDX-License-Identifier: Apache-2.0
"""What secrets hold: their files' contents, which only who deploys and who runs them have."""

from collections.abc import Iterator, Mapping, Sequence

from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.spec.container import Container
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.limits import KIB, MAX_SECRET

MAX_VARIABLE = 128 * KIB
"""Bytes of one environment variable with its name and its end: Linux starts no program with a longer one
(MAX_ARG_STRLEN in linux/binfmts.h)."""

SECRETS_TOO_LARGE = f"the files of all secrets are larger than {MAX_SECRET // KIB} KiB"


def secret_problems(manifest: PodManifest, secrets: Mapping[str, Mapping[str, bytes]]) -> Iterator[Problem]:
    """What of *secrets*, files by volume and key, Kubernetes does not keep or gives no program."""
    total = sum(len(content) for files in secrets.values() for content in files.values())
    if total > MAX_SECRET:
        yield Problem(("spec", "volumes"), SECRETS_TOO_LARGE)
    parts: list[tuple[str, Sequence[Container]]] = [
        ("containers", manifest.spec.containers),
        ("initContainers", manifest.spec.init_containers),
    ]
    for field, containers in parts:
        for index, container in enumerate(containers):
            yield from _variables(("spec", field, index), container, secrets)


def _variables(
    at: Location, container: Container, secrets: Mapping[str, Mapping[str, bytes]]
) -> Iterator[Problem]:
    for number, variable in enumerate(container.env):
        reference = variable.value_from.secret_key_ref if variable.value_from else None
        value = secrets.get(reference.name, {}).get(reference.key) if reference else None
        if value is not None:
            where: Location = (*at, "env", number, "valueFrom", "secretKeyRef", "key")
            yield from _as_variable(where, variable.name, value)
    for number, source in enumerate(container.env_from):
        for file, value in secrets.get(source.secret_ref.name, {}).items():
            where = (*at, "envFrom", number, "secretRef", "name")
            yield from _as_variable(where, source.prefix + file, value)


def _as_variable(at: Location, name: str, value: bytes) -> Iterator[Problem]:
    remedy = "mount the secret as a file instead"
    if len(name) + len(value) + 2 > MAX_VARIABLE:
        yield Problem(at, f"{len(value)} bytes are too long for an environment variable: {remedy}")
    if b"\0" in value:
        yield Problem(at, f"the file holds a NUL, which no environment variable can: {remedy}")
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        yield Problem(at, f"the file is not UTF-8 text, as an environment variable is: {remedy}")
