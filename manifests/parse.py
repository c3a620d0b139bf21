# SPDX-License-Identifier: Apache-2.0
"""From bytes that may be hostile to a checked manifest; every error says file, line and field.

The client comes in by `load`, a provider by `parse_received`, and both go through `_checked`: a provider
checks as if no client existed. Sizes are bounded before anything is read.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from trustedpods.manifests.check.nodes import reference_problems
from trustedpods.manifests.check.pod import problems
from trustedpods.manifests.check.secrets import SECRETS_TOO_LARGE, secret_problems
from trustedpods.manifests.check.seeds import SEEDS_TOO_LARGE, Seeds, seed_problems, wanted_seeds
from trustedpods.manifests.documents import first_document, line_of, plain, text_of
from trustedpods.manifests.folders import files_below
from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.volume import MAX_SECRET_FILES, ORDINAL_MARK
from trustedpods.manifests.users import named_users
from trustedpods.manifests.words.files import NETWORK_KIND, OURS, other_file
from trustedpods.manifests.words.mistakes import in_plain_words
from trustedpods.manifests.words.settle import settled
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import KIB, MAX_MANIFEST_JSON, MAX_SECRET, MAX_SEED, MAX_SEED_FILES

MAX_MANIFEST = 128 * KIB
"""A manifest is a page or two; 128 KiB leaves room for generated ones and parses in a second."""

_FILE_ADVICE = "put it there, or mend its path"

MAX_SHOWN = 8
"""Problems listed at once; more would scroll the first one away."""


@dataclass(frozen=True, slots=True)
class LoadedManifest:
    """A manifest with the files it names.

    `secrets` maps a secret volume's name to its files' contents, `seeds` a volume and a replica to those of
    its seed.
    """

    manifest: PodManifest
    path: Path
    secrets: dict[str, dict[str, bytes]]
    seeds: Seeds
    tree: Any = field(repr=False, compare=False)
    """The document, which knows the line of each of its parts."""

    def place(self, location: Location) -> str:
        """`file:line field` of a part, for an error about what it names."""
        return place_of(self.path, self.tree, location)


def load(path: Path) -> LoadedManifest:
    """Read, parse and check the manifest at *path* and the secret files it names.

    Raises `BadInput` with file, line and field; nothing else, whatever the file holds.
    """
    tree = pod_document(path)
    return load_made(path, tree, plain(tree, path))


def pod_document(path: Path) -> Any:  # noqa: ANN401 - a YAML document can be anything
    """The document at *path*, which is no other kind of file; what is in it is not checked.

    Raises `BadInput`.
    """
    tree, second = first_document(text_of(read_manifest(path), path), path)
    if (advice := other_file(tree)) is not None:
        raise BadInput(advice, where=f"{path}:{line_of(tree, (next(iter(tree)),))}")
    if isinstance(tree, Mapping) and tree.get("kind") == NETWORK_KIND and tree.get("apiVersion") == OURS:
        where = f"{path}:{line_of(tree, ('kind',))} kind"
        raise BadInput("this is a network of pods", where=where, hint="`trustedpods network apply` takes it")
    if second is not None:
        text = f"one pod per file; a second document begins at line {second}"
        raise BadInput(text, where=f"{path}:{second}", hint="write it into a file of its own")
    return tree


def load_made(path: Path, tree: Any, own: object) -> LoadedManifest:  # noqa: ANN401 - as above
    """Check *own*, a manifest in plain types that came of *tree*, which is at *path*; as `load`.

    *own* is changed where it names directories.
    """
    manifest, found = _checked(_with_directories(own, path, tree))
    if manifest is None:
        raise refusal(path, tree, found)
    if len(manifest.model_dump_json(by_alias=True).encode()) > MAX_MANIFEST_JSON:
        text = f"with every default written out it is larger than {MAX_MANIFEST_JSON // KIB} KiB"
        raise BadInput(text, where=str(path), hint="use fewer or shorter entries, or secret files")
    secrets = _secrets(manifest, path, tree)
    seeds = _seeds(manifest, path, tree)
    if wrong := _of_files(manifest, secrets, seeds):
        raise refusal(path, tree, wrong)
    return LoadedManifest(manifest, path, secrets, seeds, tree)


def parse_received(
    data: bytes, secrets: Mapping[str, Mapping[str, bytes]] | None = None, seeds: Seeds | None = None
) -> PodManifest:
    """The manifest inside a bundle, checked as `load` does; so are *secrets* and *seeds*, where given.

    Raises `BadInput`.
    """
    if len(data) > MAX_MANIFEST_JSON:
        raise BadInput(f"larger than {MAX_MANIFEST_JSON // KIB} KiB", where="manifest")
    try:
        tree = from_json(data)
    except ValueError as error:
        raise BadInput(f"not valid JSON: {error}", where="manifest") from None
    manifest, found = _checked(tree)
    if manifest is None:
        raise refusal(None, None, found)
    wrong = _of_files(manifest, secrets or {}, seeds or {})
    if wrong := [*wrong, *named_users(manifest)]:
        raise refusal(None, None, wrong)
    return manifest


def _of_files(
    manifest: PodManifest, secrets: Mapping[str, Mapping[str, bytes]], seeds: Seeds
) -> list[Problem]:
    """What is wrong with what the manifest's files hold."""
    return [
        *secret_problems(manifest, secrets),
        *reference_problems(manifest, secrets),
        *seed_problems(manifest, seeds),
    ]


def _checked(tree: object) -> tuple[PodManifest | None, list[Problem]]:
    """The one way from a tree in plain types to a sound manifest; None beside what is wrong."""
    own, found = settled(tree)
    try:
        manifest = PodManifest.model_validate(own)
    except ValidationError as error:
        return None, [*found, *from_pydantic(error, {problem.location[:-1] for problem in found})]
    found = found or list(problems(manifest))
    return (None if found else manifest), found


def _with_directories(own: object, path: Path, tree: Any) -> object:  # noqa: ANN401
    """*own* with the files of each secret's directory in its place, as if they had been listed."""
    spec = own.get("spec") if isinstance(own, dict) else None
    volumes = spec.get("volumes") if isinstance(spec, dict) else None
    for index, volume in enumerate(volumes if isinstance(volumes, list) else []):
        secret = volume.get("secret") if isinstance(volume, dict) else None
        if not isinstance(secret, dict) or "files" in secret or not isinstance(secret.get("directory"), str):
            continue
        where = place_of(path, tree, ("spec", "volumes", index, "secret", "directory"))
        name = secret.pop("directory")
        found = files_below(path.parent / name, MAX_SECRET_FILES, where, nested=False)
        if not found:
            raise BadInput(f"{path.parent / name} has no files", where=where)
        secret["files"] = {key: f"{name.rstrip('/')}/{key}" for key in found}
    return own


def read_manifest(path: Path) -> bytes:
    """Bytes of the file at *path*; of one that is too long, no more than tells where it should have ended."""
    data = _read(path, MAX_MANIFEST + 1, str(path))
    if len(data) > MAX_MANIFEST:
        line = data.count(b"\n", 0, MAX_MANIFEST) + 1
        raise BadInput(f"larger than {MAX_MANIFEST // KIB} KiB, which end here", where=f"{path}:{line}")
    return data


def _read_bounded(path: Path, limit: int, where: str, too_large: str = SECRETS_TOO_LARGE) -> bytes:
    data = _read(path, limit + 1, where)
    if len(data) > limit:
        raise BadInput(too_large, where=where)
    return data


def _read(path: Path, most: int, where: str) -> bytes:
    try:
        if not path.is_file():
            raise BadInput(
                f"no such file: {path}" if not path.exists() else f"not a file: {path}",
                where=where,
                hint=_FILE_ADVICE,
            )
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", where=where) from None


def from_pydantic(error: ValidationError, told: Collection[Location]) -> Iterator[Problem]:
    """What pydantic found, but for what follows from a word that was taken out of a part in *told*."""
    for detail in error.errors(include_url=False):
        at = detail["loc"]
        if at not in told and not (detail["type"] == "missing" and at[:-1] in told):
            yield Problem(at, in_plain_words(detail["type"], detail["msg"], at, detail["input"]))


def refusal(
    path: Path | None,
    tree: Any,  # noqa: ANN401
    found: Iterable[Problem],
    most: int = MAX_SHOWN,
) -> BadInput:
    """One error for all that was *found* in a file, or in what came over the wire; *most* are shown."""
    lines = [f"{place_of(path, tree, p.location)}: {p.text}" for p in found]
    first, *others = lines
    where, what = first.split(": ", 1)
    shown = others[: most - 1]
    more = [f"... and {len(others) - len(shown)} more"] if len(others) > len(shown) else []
    error = BadInput("\n".join([what, *shown, *more]), where=where)
    error.others = (*shown, *more)
    return error


def place_of(path: Path | None, tree: Any, location: Location) -> str:  # noqa: ANN401
    """`file:line field` of a part; the field alone of what came over the wire."""
    parts = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    if path is None:
        return parts or "manifest"
    return f"{path}:{line_of(tree, location)} {parts}".rstrip()


def _secrets(manifest: PodManifest, path: Path, tree: Any) -> dict[str, dict[str, bytes]]:  # noqa: ANN401
    contents: dict[str, dict[str, bytes]] = {}
    left = MAX_SECRET
    for index, volume in enumerate(manifest.spec.volumes):
        if volume.secret is None:
            continue
        files = contents.setdefault(volume.name, {})
        for key, name in volume.secret.files.items():
            where = place_of(path, tree, ("spec", "volumes", index, "secret", "files", key))
            files[key] = _read_bounded(path.parent / name, left, where)
            left -= len(files[key])
    return contents


def _seeds(manifest: PodManifest, path: Path, tree: Any) -> Seeds:  # noqa: ANN401
    """The files of each seed, within the bounds of all of them together."""
    contents: dict[tuple[str, int | None], dict[str, bytes]] = {}
    left, most = MAX_SEED, MAX_SEED_FILES
    places = {volume.name: index for index, volume in enumerate(manifest.spec.volumes)}
    for name, ordinal in wanted_seeds(manifest):
        seed = manifest.spec.volumes[places[name]].seed
        assert seed is not None
        assert seed.directory is not None
        where = place_of(path, tree, ("spec", "volumes", places[name], "seed", "directory"))
        folder = path.parent / seed.directory.replace(ORDINAL_MARK, str(ordinal))
        files = contents.setdefault((name, ordinal), {})
        for below, file in files_below(folder, most, where, nested=True).items():
            files[below] = _read_bounded(file, left, where, SEEDS_TOO_LARGE)
            left -= len(files[below])
        most -= len(files)
    return contents
