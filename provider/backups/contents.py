# SPDX-License-Identifier: Apache-2.0
"""Which files a backup has, by what each is called in it and where the settings say that it lies."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.provider.config import ProviderConfig

SETTINGS, BOOKS = "settings/provider.toml", "books/store.db"
OPERATOR_KEY = "keys/operator"
_ACME = "acme/"

MOST_OF_AUTHORITY = 256
"""Files of an authority: an account, an order and a certificate for each host of a publisher."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of a provider. Without a `needed` one no backup is made; others are left out where none is."""

    name: str
    path: Path
    needed: bool = False


def check_class(config: ProviderConfig, verb: str) -> None:
    """Refused for class `sealed`, with the reason."""
    if config.identity.trust != "open":
        raise Refused(
            f"{verb} is for class open: books of an attested machine stay in it, and older ones put back "
            "would be a rollback that its publishers cannot see",
            where="identity.trust",
            hint="make a sealed machine anew from its image: publishers' clients release their pods to it",
            rule="sealed-backup",
        )


def check_books(config: ProviderConfig) -> None:
    """BadInput where the books are not in a file here."""
    if config.store.database is not None:
        raise BadInput(
            "the books are in PostgreSQL, which has backups of its own",
            where="store.database",
            hint="use `pg_dump`; keys and settings are files that the settings name",
        )


def small_files(config: ProviderConfig, settings: Path) -> list[KeptFile]:
    """All files but the books and the authority's, in the order in which they are put back."""
    acme = config.tls.acme
    usual = [
        (OPERATOR_KEY, config.identity.operator_key_file, True),
        ("settings/registry.yaml", str(settings.with_name("registry.yaml")), False),
        ("keys/pull", config.cluster.pull_key_file, False),
        ("tls/certificate.pem", config.facade.certificate_file, False),
        ("keys/dns", acme.dns_key_file if acme else None, False),
        ("tls/trusted-root.pem", acme.trusted_root if acme else None, False),
    ]
    found = [KeptFile(name, Path(path), needed) for name, path, needed in usual if path is not None]
    return [*found, KeptFile(SETTINGS, settings, True)]


def of_authority(config: ProviderConfig) -> Iterator[KeptFile]:
    """Files of the account, the order and the certificates, as they lie there now."""
    folder = config.acme_dir
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and not _hidden(path.relative_to(folder)):
            yield KeptFile(_ACME + path.relative_to(folder).as_posix(), path)


def place_of(name: str, config: ProviderConfig, settings: Path) -> Path:
    """Where a file of that name belongs. BadInput where a backup of ours has none of that name."""
    if name == BOOKS:
        return Path(config.store.path)
    for one in small_files(config, settings):
        if one.name == name:
            return one.path
    inside = Path(name.removeprefix(_ACME))
    parts = inside.parts
    if not name.startswith(_ACME) or not parts or inside.is_absolute() or ".." in parts or _hidden(inside):
        raise BadInput(f"{name!r} belongs nowhere by the settings in this backup")
    return config.acme_dir / inside


def _hidden(path: Path) -> bool:
    """As drafts of files are that appear whole."""
    return any(part.startswith(".") for part in path.parts)
