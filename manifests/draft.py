# SPDX-License-Identifier: Apache-2.0
"""A manifest for an image that has none: from what its configuration says, and what a person adds. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from trustedpods.manifests.words.files import OURS
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.descriptors import ImageConfig

DRAFT_USER = 10001
"""Who runs an image that names root or nobody: no account of a distribution has this number."""

DRAFT_VOLUME = "1Gi"
"""Of a path that the image declares (VOLUME): room for a small database, and cheap while it is empty."""

SECRETS_PATH = "/run/secrets"
"""Where Compose and Swarm show secrets, so many images look there."""

_PORT = re.compile(r"([0-9]{1,5})(?:/(http|tcp))?", re.ASCII)
_EXPOSED = re.compile(r"([0-9]{1,5})(?:/tcp)?", re.ASCII)
_ROOT = re.compile(r"(?:|root|\+?0+)(?::.*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class DraftWords:
    """What a person says beside the image, word by word as it was typed.

    `ports` are `8080` or `5432/tcp`, `env` are `NAME=VALUE`, `secrets` are `FILE` or `NAME=FILE`, `volumes`
    are `/PATH=SIZE`.
    """

    name: str | None = None
    ports: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    cpu: str | None = None
    memory: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A manifest in plain types, and what a person should know of how it came to be."""

    tree: Mapping[str, object]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Parts:
    """Volumes and their mounts, as they are found."""

    volumes: list[dict[str, object]] = field(default_factory=list)
    mounts: list[dict[str, object]] = field(default_factory=list)

    def add(self, name: str, path: str, kind: str, what: Mapping[str, object]) -> None:
        """A volume of *kind* at *path*."""
        self.volumes.append({"name": name, kind: what})
        self.mounts.append({"name": name, "mountPath": path})


def drafted(image: str, name: str, config: ImageConfig, words: DraftWords) -> Draft:
    """The manifest that runs *image* under *name*; what may be left to the image is left to it.

    Raises `BadInput` for a word that is no such thing, and where no port is known. Names, sizes and paths are
    checked with the whole manifest, as those of any other.
    """
    ports = list(_typed_ports(words.ports) if words.ports else _image_ports(config))
    parts = _Parts()
    notes = _add_volumes(parts, config, words.volumes)
    _add_secrets(parts, words.secrets)
    container: dict[str, object] = {"name": name, "image": image}
    if words.env:
        container["env"] = [_variable(word) for word in words.env]
    container["ports"] = [{"containerPort": port} for port, _ in ports]
    limits = {"cpu": words.cpu or "100m", "memory": words.memory or "128Mi", "ephemeral-storage": "256Mi"}
    container["resources"] = {"limits": limits}
    if parts.mounts:
        container["volumeMounts"] = parts.mounts
    if _ROOT.fullmatch(config.user):
        container["securityContext"] = {"runAsUser": DRAFT_USER}
        notes.append(
            f"the image runs as root, which no provider starts: it runs as {DRAFT_USER} here, "
            "and where the image lets only root write, it cannot"
        )
    spec: dict[str, object] = {"containers": [container]}
    if parts.volumes:
        spec["volumes"] = parts.volumes
    spec["services"] = [_service(port, way, index) for index, (port, way) in enumerate(ports)]
    spec["scale"] = {"min": 0, "max": 1}
    head = {"apiVersion": OURS, "kind": "Pod", "metadata": {"name": name}}
    return Draft({**head, "spec": spec}, tuple(notes))


def name_of_image(image: str) -> str:
    """A pod's name out of a file's: `./dist/My_App-1.0.tar` is `my-app-1-0`; `app` where nothing is left."""
    stem = image.rstrip("/").rpartition("/")[2].removesuffix(".tar")
    return re.sub(r"[^a-z0-9]+", "-", stem.lower())[:63].strip("-") or "app"


def _typed_ports(words: Iterable[str]) -> Iterator[tuple[int, str]]:
    for word in words:
        found = _PORT.fullmatch(word)
        if found is None or not 1 <= int(found[1]) <= 65535:
            raise BadInput(
                f"not a port: {word[:64]!r}",
                where="--port",
                hint="write the port at which the image listens: 8080 for HTTP, 5432/tcp for anything else",
            )
        yield int(found[1]), found[2] or "http"


def _image_ports(config: ImageConfig) -> Sequence[tuple[int, str]]:
    found = sorted({int(match[1]) for match in map(_EXPOSED.fullmatch, config.ports) if match})
    if len(found) == 1:
        return [(found[0], "http")]
    listed = "lists the ports " + ", ".join(map(str, found)) if found else "lists no port (EXPOSE)"
    first = found[0] if found else 8080
    raise BadInput(
        f"the image {listed}, so it is not known which one serves",
        where="--port",
        hint=f"say it: --port {first}, and --port {first}/tcp where it is not HTTP",
    )


def _pair(word: str, option: str, form: str) -> tuple[str, str]:
    left, sign, right = word.partition("=")
    if not (left and sign):
        raise BadInput(f"not {form}: {word.partition('=')[0][:64]!r}", where=option, hint=f"write {form}")
    return left, right


def _variable(word: str) -> dict[str, object]:
    name, value = _pair(word, "--env", "NAME=VALUE")
    return {"name": name, "value": value}


def _add_volumes(parts: _Parts, config: ImageConfig, words: Iterable[str]) -> list[str]:
    """Those that were asked for, then those that the image declares and nobody spoke of, which are told."""
    paths = dict(_pair(word, "--volume", "/PATH=SIZE") for word in words)
    declared = sorted(set(config.volumes) - paths.keys())
    paths |= dict.fromkeys(declared, DRAFT_VOLUME)
    for number, (path, size) in enumerate(paths.items()):
        parts.add("data" if number == 0 else f"data-{number}", path, "persistent", {"size": size})
    told = "a volume of it is billed; --volume says of which size"
    return [f"the image keeps data at {path}, {DRAFT_VOLUME} here: {told}" for path in declared]


def _add_secrets(parts: _Parts, words: Iterable[str]) -> None:
    files: dict[str, object] = {}
    for word in words:
        name, sign, file = word.partition("=")
        if not sign:
            name, file = word.rpartition("/")[2], word
        if not (name and file):
            raise BadInput("not a file", where="--secret", hint="write FILE, or NAME=FILE")
        if name in files:
            raise BadInput(f"two secrets are called {name!r}", where="--secret", hint="write NAME=FILE")
        files[name] = file
    if files:
        parts.add("secrets", SECRETS_PATH, "secret", {"files": files})


def _service(port: int, way: str, index: int) -> dict[str, object]:
    name = "web" if index == 0 else f"port-{port}"
    outer = 80 if way == "http" else port
    return {"name": name, "expose": way, "ports": [{"port": outer, "targetPort": port}]}
