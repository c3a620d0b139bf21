# SPDX-License-Identifier: Apache-2.0
"""What stands first in a backup: whose it is, of when, and each file with its size and digest."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import MIB
from trustedpods.provider.backups.contents import MOST_OF_AUTHORITY
from trustedpods.provider.config import ProviderConfig

VERSION = 1

MOST_FILES = MOST_OF_AUTHORITY + 16
MOST_SMALL = MIB
"""Settings, keys and certificates are pages of text."""

MOST_INDEX = MIB
"""A line of 300 bytes for each of `MOST_FILES`, several times."""

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._*/-]{1,300}$")]
_User = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class IndexedFile(_Frozen):
    """One file: bytes, SHA-256 (hex), mode, and its owner's names, empty where the machine had none."""

    name: _Name
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    mode: Annotated[int, Field(ge=0, le=0o777)]
    user: _User
    group: _User


class BackedUpProvider(_Frozen):
    """Whose books these are: one daemon's number under its owner, in one market."""

    chain_id: int
    payments: str
    owner: str
    daemon: int

    def __str__(self) -> str:
        """As a person is told it."""
        return f"daemon {self.daemon} of {self.owner} at {self.payments} on chain {self.chain_id}"


class BackupForm(BaseModel):
    """What every version's index says, this one's and later ones'. `version` is that of the package."""

    model_config = ConfigDict(frozen=True, strict=True)

    format: Literal["trustedpods-provider-backup"] = "trustedpods-provider-backup"
    format_version: int = VERSION
    version: Annotated[str, Field(max_length=64)]


class BackupIndex(BackupForm):
    """The whole index. `made` is seconds since 1970 UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    made: int
    provider: BackedUpProvider
    schema_of_books: Annotated[str, Field(pattern=r"^[0-9]{1,8}$")]
    files: Annotated[list[IndexedFile], Field(min_length=1, max_length=MOST_FILES)]

    def text(self) -> bytes:
        """As it lies in the file."""
        return self.model_dump_json(indent=1).encode()


def provider_of(config: ProviderConfig) -> BackedUpProvider:
    """Who the settings say that this is."""
    market, identity = config.market, config.identity
    return BackedUpProvider(
        chain_id=market.chain_id,
        payments=market.payments.lower(),
        owner=identity.owner.lower(),
        daemon=identity.daemon,
    )


def read_index(text: bytes, where: str) -> BackupIndex:
    """The index of a backup. BadInput where it is none, or of a format that this version does not know."""
    try:
        form = BackupForm.model_validate_json(text)
        if form.format_version == VERSION:
            found = BackupIndex.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"no backup of a provider: {key} {first['msg']}", where=where) from None
    if form.format_version != VERSION:
        raise BadInput(
            f"a backup of format {form.format_version}, and this version knows {VERSION}",
            where=where,
            hint=f"it was made by version {form.version}: install that, or a newer one",
        )
    names = [one.name for one in found.files]
    if len(set(names)) != len(names):
        raise BadInput("no backup of a provider: a file stands in it twice", where=where)
    return found
