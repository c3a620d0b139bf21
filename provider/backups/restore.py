# SPDX-License-Identifier: Apache-2.0
"""Puts a backup back, where no daemon runs. Everything is looked at before anything is changed.

From then on a mark lies beside the books: no daemon opens them until all files are in their place, and a
restore that was killed is given the same backup again.
"""

import os
import secrets
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from trustedpods.protocol.errors import BadInput, Locked, Refused
from trustedpods.protocol.whole_file import sync_folder
from trustedpods.provider.backups import archive
from trustedpods.provider.backups.contents import (
    BOOKS,
    SETTINGS,
    check_books,
    check_class,
    of_authority,
    place_of,
)
from trustedpods.provider.backups.index import BackedUpProvider, BackupIndex, provider_of
from trustedpods.provider.backups.owners import FileOwner, give, make_folder, owner_of, private_folder
from trustedpods.provider.config import ProviderConfig, load_config
from trustedpods.provider.store.engines import replacing, snapshot
from trustedpods.provider.store.engines.sqlite_file import held
from trustedpods.provider.store.failures import translated


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A file of the backup: where it belongs, where it lies until then, and whose it is to be."""

    name: str
    unpacked: Path
    path: Path
    mode: int
    owner: FileOwner


@dataclass(frozen=True, slots=True)
class RestoredProvider:
    """What was put back. `set_aside` is the folder with what was there; None where this was a look only."""

    index: BackupIndex
    files: tuple[Path, ...]
    set_aside: Path | None


def restore(
    backup: Path, settings: Path, *, now: int, other_provider: bool = False, look_only: bool = False
) -> RestoredProvider:
    """Put everything of *backup* back; the settings go to *settings*, the rest to where they say.

    BadInput where the backup is cut off or changed, Refused where it is another provider's than *settings*
    and not *other_provider*, or of class `sealed`; Locked where the daemon runs; StoreFailure where its
    books are newer than this version, or the disk fails. Nothing is changed then, nor with *look_only*.
    """
    settings = settings.absolute()
    present = load_config(settings) if settings.exists() else None
    if present is not None:
        check_class(present, "restore")
    if not backup.is_file():
        raise BadInput("there is no such file", where=str(backup))
    with ExitStack() as stack:
        stack.enter_context(translated("the backup cannot be put back", backup))
        folder = stack.enter_context(private_folder(_unpacking_place(backup, present), "restore"))
        index = archive.unpack(backup, folder)
        config = _settings_of(index, folder)
        check_class(config, "restore")
        check_books(config)
        _check_provider(index.provider, config, present, other_provider, backup)
        schema = snapshot.examine(folder / str(_number(index, BOOKS)))
        if schema != index.schema_of_books:
            raise BadInput(f"its books are of schema {schema}, and not as the index says", where=str(backup))
        files = _places(index, folder, config, settings)
        _check_links(config, files)
        paths = tuple(one.path for one in files)
        if look_only:
            return RestoredProvider(index, paths, None)
        books = next(one for one in files if one.name == BOOKS)
        for one in {Path(config.store.path), *([Path(present.store.path)] if present else [])}:
            _hold(stack, one, books.owner)
        return RestoredProvider(index, paths, _put(files, books, config, now))


def _put(files: list[PlacedFile], books: PlacedFile, config: ProviderConfig, now: int) -> Path:
    made = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = replacing.set_aside(books.path, replacing.ASIDE + made)
    give(aside, books.owner)
    of_today = {one.name: one.path for one in of_authority(config)}
    small = {one.name: one.path for one in files if one is not books}
    for name, path in (of_today | small).items():
        kept = aside / name
        if path.is_file() and not kept.exists():  # what a restore that was killed has kept is older
            make_folder(kept.parent, books.owner)
            _copy(path, kept, 0o600, books.owner)
    for name in of_today.keys() - small.keys():  # of a later order: it fits to nothing that is put back
        of_today[name].unlink()
    for one in files:
        make_folder(one.path.parent, one.owner)
        _copy(one.unpacked, one.path, one.mode, one.owner)
        sync_folder(one.path.parent)
    replacing.finish(books.path)
    return aside


def _copy(source: Path, target: Path, mode: int, owner: FileOwner) -> None:
    """Whole or not at all, beside its place first; a rename alone would not do, as it may be another disk."""
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with (
            source.open("rb") as read,
            open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as written,
        ):
            shutil.copyfileobj(read, written)
            written.flush()
            give(draft, owner)
            os.fchmod(written.fileno(), mode)
            os.fsync(written.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _unpacking_place(backup: Path, present: ProviderConfig | None) -> Path:
    """On the disk that has the keys anyway, where there is one."""
    parent = Path(present.store.path).parent if present else backup.absolute().parent
    return parent if parent.is_dir() else backup.absolute().parent


def _number(index: BackupIndex, name: str) -> int:
    found = [number for number, one in enumerate(index.files) if one.name == name]
    if not found:
        raise BadInput(f"no backup of a provider: {name} is not in it")
    return found[0]


def _settings_of(index: BackupIndex, folder: Path) -> ProviderConfig:
    try:
        return load_config(folder / str(_number(index, SETTINGS)))
    except BadInput as error:
        raise BadInput(f"the settings in this backup cannot be used: {error.what}", where=SETTINGS) from None


def _check_provider(
    told: BackedUpProvider,
    config: ProviderConfig,
    present: ProviderConfig | None,
    other: bool,
    backup: Path,
) -> None:
    if told != provider_of(config):
        raise BadInput("its settings are not of the provider that its index names", where=str(backup))
    if present is not None and provider_of(present) != told and not other:
        raise Refused(
            f"it is of {told}, and here is {provider_of(present)}",
            where=str(backup),
            hint="--other-provider puts it in this one's place",
            rule="other-provider",
        )


def _places(index: BackupIndex, folder: Path, config: ProviderConfig, settings: Path) -> list[PlacedFile]:
    """Where all files go, in the order in which they do; nothing is changed yet."""
    return [
        PlacedFile(
            name=one.name,
            unpacked=folder / str(number),
            path=place_of(one.name, config, settings),
            mode=one.mode,
            owner=owner_of(one.user, one.group),
        )
        for number, one in enumerate(index.files)
    ]


def _check_links(config: ProviderConfig, files: list[PlacedFile]) -> None:
    """BadInput where a link lies in the authority's folder or at the lock: the daemon's user may write there.

    As root a restore would follow it out of there.
    """
    folder = config.acme_dir
    places = {folder, Path(config.store.path + ".lock")}
    for path in [one.path for one in files if folder in one.path.parents]:
        places |= {path, *(one for one in path.parents if folder in one.parents)}
    for path in sorted(places):
        if path.is_symlink():
            raise BadInput(
                "a link is in the way: what is put back here is a file",
                where=str(path),
                hint="look who made it, and remove it",
            )


def _hold(stack: ExitStack, books: Path, owner: FileOwner) -> None:
    """No daemon begins meanwhile. What had to be made for the lock is the daemon's too."""
    try:
        make_folder(books.parent, owner)
        stack.enter_context(held(books))
        give(books.with_name(books.name + ".lock"), owner)
    except Locked:
        raise Locked(
            "the daemon runs, and has its books open",
            where=str(books),
            hint="systemctl stop trustedpods-provider",
        ) from None
