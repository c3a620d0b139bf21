# SPDX-License-Identifier: Apache-2.0
"""What seeds hold: the first files of volumes, which only who deploys and who runs them have."""

import re
from collections.abc import Iterator, Mapping

from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.volume import ORDINAL_MARK, Volume
from trustedpods.protocol.limits import KIB, MAX_SEED, MAX_SEED_FILES, MAX_SEEDS

Seeds = Mapping[tuple[str, int | None], Mapping[str, bytes]]
"""Files by path, of a volume's name and a replica's number; None is for every replica."""

SEED_PATH = r"(?!.*(^|/)\.\.)(?!.*(^|/)\.(/|$))[-._a-zA-Z0-9]{1,100}(/[-._a-zA-Z0-9]{1,100}){0,7}"
"""Of a file below the seed's directory: what a Secret's volume takes (no part begins with `..`)."""

MAX_SEED_PATH = 200
"""Characters of a path: with the folder of its replica it stays below what a Secret's volume takes."""

OWN_PREFIX = ".trustedpods-"
"""Of the marks that are kept at the top of a seeded volume."""

SEEDING, SEEDED = f"{OWN_PREFIX}seeding", f"{OWN_PREFIX}seeded"
"""The mark of a volume that is being filled, and of one that is whole: the last thing that is written."""

FILLING_PROGRAM, FILLED = "/busybox", "/volume"
"""The program of a container that fills a volume, and where it has that volume."""

MAX_FILLING_NAME = 58
"""Characters before a number that tells it from another name: a container's has 63."""

NAME_TAKEN = (
    f"give it a name of at most {MAX_FILLING_NAME - len('seed-')} letters, and that one to nobody else"
)
SEEDS_TOO_LARGE = f"the files of all seeds are larger than {MAX_SEED // KIB} KiB"
TOO_MANY_FILES = f"the seeds have more than {MAX_SEED_FILES} files"


def wanted_seeds(manifest: PodManifest) -> list[tuple[str, int | None]]:
    """The directories that the manifest names: one for each volume, or one for each replica of it."""
    found: list[tuple[str, int | None]] = []
    for volume in manifest.spec.volumes:
        if volume.seed is not None and not volume.seed.backup:
            ordinals = range(manifest.claims_each) if volume.seed.by_ordinal else (None,)
            found += [(volume.name, ordinal) for ordinal in ordinals]
    return found


def filling_container(manifest: PodManifest, volume: Volume) -> str:
    """The name of the container that fills *volume*: like the volume's, and nobody else's in the pod."""
    taken = {part.name for part in manifest.spec.all_containers} | {one.name for one in manifest.spec.volumes}
    name, number = _shortened(volume.name), 1
    if [_shortened(one.name) for one in manifest.spec.volumes if one.seed].count(name) > 1:
        name = f"seed-{[one.name for one in manifest.spec.volumes].index(volume.name)}"
    free = name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _shortened(volume: str) -> str:
    return f"seed-{volume}"[:MAX_FILLING_NAME].rstrip("-")


def seeded_volume_problems(manifest: PodManifest) -> Iterator[Problem]:
    """What does not fit between seeds and the rest of the manifest."""
    mounted = {mount.name for part in manifest.spec.all_containers for mount in part.volume_mounts}
    for index, volume in enumerate(manifest.spec.volumes):
        if volume.seed is None:
            continue
        at: Location = ("spec", "volumes", index, "seed", "backup" if volume.seed.backup else "directory")
        if volume.seed.backup and filling_container(manifest, volume) != f"seed-{volume.name}":
            yield Problem(at, f"`restore` finds it by the container seed-{volume.name}: {NAME_TAKEN}")
        if volume.seed.backup and volume.persistent is not None and volume.persistent.never_restore:
            yield Problem(at, "its files must not go back in time (neverRestore): no backup fills it")
        if volume.seed.by_ordinal and manifest.spec.workload != "stateful":
            yield Problem(at, f"{ORDINAL_MARK} needs workload: stateful, whose replicas have a number")
        if volume.name not in mounted:
            yield Problem(at, "no container mounts this volume: its files are copied by the user of one")
    if len(wanted_seeds(manifest)) > MAX_SEEDS:
        text = f"seeds of all volumes and replicas are {len(wanted_seeds(manifest))}; at most {MAX_SEEDS}"
        yield Problem(("spec", "volumes"), text)


def seed_problems(manifest: PodManifest, seeds: Seeds) -> Iterator[Problem]:
    """What of the files of *seeds* no provider copies."""
    contents = [content for files in seeds.values() for content in files.values()]
    if sum(map(len, contents)) > MAX_SEED:
        yield Problem(("spec", "volumes"), SEEDS_TOO_LARGE)
    if len(contents) > MAX_SEED_FILES:
        yield Problem(("spec", "volumes"), TOO_MANY_FILES)
    index_of = {volume.name: index for index, volume in enumerate(manifest.spec.volumes)}
    for (volume, ordinal), files in seeds.items():
        at: Location = ("spec", "volumes", index_of.get(volume, 0), "seed", "directory")
        whose = "" if ordinal is None else f" of replica {ordinal}"
        if not files:
            yield Problem(at, f"the seed{whose} has no files")
        for path in files:
            if (wrong := _wrong_path(path, files)) is not None:
                yield Problem(at, f"the file {path[:80]!r}{whose} {wrong}")


def _wrong_path(path: str, files: Mapping[str, bytes]) -> str | None:
    if len(path) > MAX_SEED_PATH or re.fullmatch(SEED_PATH, path, re.ASCII) is None:
        rule = "letters, digits, `-`, `_` and `.`, up to 8 folders deep, no part beginning with `..`"
        return f"cannot be copied: a path has {rule}, and up to {MAX_SEED_PATH} characters"
    if path.startswith(OWN_PREFIX):
        return f"begins with {OWN_PREFIX}, as only the provider's own marks do"
    parts = path.split("/")
    if any("/".join(parts[:depth]) in files for depth in range(1, len(parts))):
        return "lies in a folder whose name another file has"
    return None
