# SPDX-License-Identifier: Apache-2.0
"""The Secret of each secret volume of a pod, and of its images. Pure, but for what it is given at random."""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trustedpods.manifests.spec.volume import Generated
from trustedpods.provider.cluster.objects.names import MADE_HERE, KubeObject

PULL_SECRET = "images.pull"  # noqa: S105 - a name
"""No volume is called so: their names have no dot."""


@dataclass(frozen=True, slots=True)
class PullLogin:
    """What a node says to the registry, for images of one repository."""

    registry: str
    user: str
    password: str


def pull_secret(login: PullLogin) -> KubeObject:
    """By which a node pulls the pod's images: Kubernetes' kind `kubernetes.io/dockerconfigjson`."""
    entry = {"username": login.user, "password": login.password}
    text = json.dumps({"auths": {login.registry: entry}}, sort_keys=True)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": PULL_SECRET},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": b64encode(text.encode()).decode()},
    }


def secret(name: str, files: Mapping[str, bytes], *, made_here: bool = False) -> KubeObject:
    """A secret volume's files, under the volume's name; *made_here*: nobody else has some of them."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name} | ({"annotations": {MADE_HERE: "true"}} if made_here else {}),
        "type": "Opaque",
        "data": {file: b64encode(content).decode() for file, content in files.items()},
    }


def earlier_name(volume: str, version: int) -> str:
    """The Secret that keeps what a secret volume held in a proven *version* while a newer one has another.

    The version is part of the name: what a kill left behind is never taken for the present one's.
    """
    return f"{volume}{_OF_VERSION}{version}"


_OF_VERSION = ".v"
"""No volume is called so: their names have no dot."""


def is_earlier(name: str, version: int | None = None) -> bool:
    """Whether a Secret of values that were made here is one of those, of this *version* or of any."""
    return _OF_VERSION in name if version is None else name.endswith(f"{_OF_VERSION}{version}")


HIDDEN = "(not shown)"


def hidden(made: KubeObject) -> KubeObject:
    """An object for people to see: of a Secret the names of its values, of any other all."""
    if made["kind"] != "Secret":
        return made
    return {**made, "data": dict.fromkeys(made.get("data", {}), HIDDEN)}


def with_generated(
    wanted: Mapping[str, Generated],
    kept: Sequence[Mapping[str, bytes]],
    random: Callable[[int], bytes],
) -> dict[str, bytes]:
    """The value of each of *wanted*: the first *kept* of it that has its form, else of *random* bytes."""
    made = {}
    for key, form in wanted.items():
        fitting = (held[key] for held in kept if key in held and _has_form(held[key], form))
        value = next(fitting, None)
        made[key] = _made(form, random) if value is None else value
    return made


_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_FORMS = {"password": rb"[A-Za-z0-9]*", "hex": rb"[0-9a-f]*", "bytes": rb"(?s:.*)"}


def _has_form(value: bytes, form: Generated) -> bool:
    return len(value) == form.length and re.fullmatch(_FORMS[form.type], value) is not None


def _made(form: Generated, random: Callable[[int], bytes]) -> bytes:
    if form.type == "bytes":
        return random(form.length)
    if form.type == "hex":
        return random((form.length + 1) // 2).hex()[: form.length].encode()
    return _letters(form.length, random)


def _letters(length: int, random: Callable[[int], bytes]) -> bytes:
    """Each letter as likely as any other: bytes beyond the last whole round of letters are thrown away."""
    made = b""
    while len(made) < length:
        fair = (byte for byte in random(length) if byte < 256 - 256 % len(_LETTERS))
        made += bytes(_LETTERS[byte % len(_LETTERS)] for byte in fair)
    return made[:length]
