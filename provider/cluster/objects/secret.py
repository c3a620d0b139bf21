# SPDX-License-Identifier: Apache-2.0
"""The Secret of each secret volume of a pod, and of its images. Pure."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter

from trustedpods.protocol.errors import Refused
from trustedpods.provider.cluster.objects.names import MADE_HERE, MADE_KEYS, KubeObject
from trustedpods.provider.core.generated.values import MadeFiles

PULL_SECRET = "images.pull"  # noqa: S105 - a name
"""No volume is called so: their names have no dot."""

_RENEWALS = TypeAdapter(dict[str, Annotated[int, Field(strict=True, ge=0)]])
_KEY_TYPES = TypeAdapter(dict[str, str])


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


def secret(
    name: str,
    files: Mapping[str, bytes],
    renewals: Mapping[str, int] | None = None,
    types: Mapping[str, str] | None = None,
) -> KubeObject:
    """A secret volume's files, under the volume's name. With *renewals* nobody else has some of them.

    *types* are those of the keys among them.
    """
    notes = {MADE_HERE: renewals, MADE_KEYS: types or None}
    texts = {note: json.dumps(dict(said), sort_keys=True) for note, said in notes.items() if said is not None}
    marks = {"annotations": texts} if texts else {}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name} | marks,
        "type": "Opaque",
        "data": {file: b64encode(content).decode() for file, content in files.items()},
    }


def made_files(found: KubeObject | None) -> MadeFiles:
    """What a Secret holds, and which renewals of it; nothing where there is none.

    Refused (rule `generated-key`) where somebody has edited the note: nothing is made anew for that.
    """
    if found is None:
        return MadeFiles()
    files = {name: b64decode(content) for name, content in (found.get("data") or {}).items()}
    notes = found["metadata"].get("annotations") or {}
    try:
        renewals = _RENEWALS.validate_json(notes.get(MADE_HERE, "{}"))
        types = _KEY_TYPES.validate_json(notes.get(MADE_KEYS, "{}"))
    except ValueError:
        raise Refused(
            f"the notes {MADE_HERE} and {MADE_KEYS} of the Secret {found['metadata']['name']} cannot be read",
            rule="generated-key",
            hint="whoever edited them puts them back: JSON, with a whole number or a type for each file",
        ) from None
    return MadeFiles(files, renewals, types)


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
