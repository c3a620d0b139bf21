# SPDX-License-Identifier: Apache-2.0
"""A file of another format, read and converted with the files that it names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from trustedpods.manifests.convert.compose import from_compose, is_compose
from trustedpods.manifests.convert.compose_environment import DOTENV, set_variables, tell_variables
from trustedpods.manifests.convert.findings import Converted, Findings, Kind
from trustedpods.manifests.convert.go_pod import from_go_pod, is_go_pod
from trustedpods.manifests.convert.values import label
from trustedpods.manifests.convert.variables.known import KnownVariables
from trustedpods.manifests.documents import first_document, line_of, plain, text_of
from trustedpods.manifests.parse import read_manifest, refusal
from trustedpods.manifests.words.files import OURS, other_file
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import KIB
from trustedpods.protocol.whole_file import read_whole

MAX_ENV_FILE = 64 * KIB
"""Of a file of variables: the bound of a manifest itself is not far above."""

MAX_ENV_FILES = 256 * KIB
"""Of all that is read of them, one as often as it is named: a small file may name one a thousand times."""

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
"""Of a conversion without a shell."""

MAX_SHOWN = 64
"""Fields that are told: a person goes through all of them with the other file open."""

_USUAL = ("compose", "docker-compose", "podman-compose", "pod", "manifest")
"""Names of files that say nothing of what is in them: the folder's name is the pod's then."""


@dataclass(slots=True)
class Folder:
    """The folder of a file, whose own words lead to others in it; *left* bytes of those are read."""

    path: Path
    left: int = MAX_ENV_FILES

    def kind(self, name: str) -> Kind | None:
        """What *name* is in it."""
        try:
            place = self.path / name
            return "file" if place.is_file() else "folder" if place.is_dir() else None
        except (OSError, ValueError):
            return None

    def outside(self, name: str) -> bool:
        """Whether *name* leads out of it: absolute, by `..`, or by a link."""
        try:
            base = self.path.resolve()
            return not (base / name).resolve().is_relative_to(base)
        except (OSError, RuntimeError, ValueError):  # RuntimeError: links that go round
            return True

    def text(self, name: str) -> str:
        """The text of a file in it."""
        place = self.path / name
        if self.outside(name):
            raise BadInput("outside the folder: copy it beside", where=str(place))
        text = _bounded(place)
        self.left -= len(text.encode())
        if self.left < 0:
            told = (
                f"files of variables have more than {MAX_ENV_FILES // KIB} KiB, each as often as it is named"
            )
            raise BadInput(told, where=str(place))
        return text


def converts(tree: object) -> bool:
    """Whether *tree* is of a format that `convert` takes."""
    return isinstance(tree, Mapping) and (is_compose(tree) or is_go_pod(tree))


def convert(
    path: Path,
    name: str | None = None,
    *,
    shell: Mapping[str, str] = NO_VARIABLES,
    env_files: tuple[Path, ...] = (),
) -> Converted:
    """The manifest that the file at *path* becomes, called *name*, else as the file or its folder.

    A Compose file may use the variables of *shell*, then those of *env_files*; without them those of `.env`
    beside it.
    Raises `BadInput` with one line for each field that cannot be converted, and for a file of no such format.
    """
    tree, second = first_document(text_of(read_manifest(path), path), path)
    if second is not None:
        raise BadInput(
            "a second document begins here", where=f"{path}:{second}", hint="convert one at a time"
        )
    own = plain(tree, path)
    found = Findings(Folder(path.parent), KnownVariables(shell))
    if not isinstance(own, Mapping) or not converts(own):
        raise _no_such_format(own, path)
    fields = {str(key): value for key, value in own.items()}
    if is_compose(own):
        _read_variables(env_files, found)
        made = from_compose(fields, _name_of(path), found)
        tell_variables(found)
    else:
        made = from_go_pod(fields, _name_of(path), found)
    if found.problems:
        raise _refused(path, tree, found)
    if name is not None:
        made["metadata"] = {"name": name}
    return Converted(made, found.notes, path, found.private)


def _read_variables(env_files: tuple[Path, ...], found: Findings) -> None:
    """Those of files that a person named, which may lie anywhere; else of `.env`, if there is one."""
    for file in env_files:
        set_variables(_bounded(file), str(file), found)
    if not env_files and found.around.kind(DOTENV) == "file":
        set_variables(found.around.text(DOTENV), DOTENV, found)


def _refused(path: Path, tree: object, found: Findings) -> BadInput:
    """One line for each field, and all variables that are not set at the end."""
    error = refusal(
        path, tree, sorted(found.problems, key=lambda one: line_of(tree, one.location)), MAX_SHOWN
    )
    if names := list(found.variables.unset):
        more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
        error.hint = (
            f"not set: {', '.join(names[:MAX_SHOWN])}{more}; set them in the shell, "
            "in `.env` beside the file, or in a file for --env-file"
        )
    return error


def _bounded(place: Path) -> str:
    """The text of a file of variables."""
    return text_of(read_whole(place, MAX_ENV_FILE), place)


def _name_of(path: Path) -> str:
    stem = path.name.partition(".")[0]
    return label(path.absolute().parent.name if stem in _USUAL else stem)


def _no_such_format(own: object, path: Path) -> BadInput:
    if isinstance(own, Mapping) and own.get("apiVersion") == OURS:
        return BadInput(
            "this is a manifest already", where=str(path), hint="`trustedpods validate` checks it"
        )
    return BadInput(
        other_file(own) or "neither a Compose file nor a pod of the Go implementation",
        where=str(path),
        hint="it takes files with `services:`, and with `containers:` that have `image: {url: ...}`",
    )
