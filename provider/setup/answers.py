# SPDX-License-Identifier: Apache-2.0
"""What the operator says: by a file, by flags or at a terminal. None of it can be found out by looking."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.base import U32
from trustedpods.provider.config import PathText, Section
from trustedpods.provider.market_settings import ConfiguredAddress
from trustedpods.provider.settings_file import read_settings

TokensText = Annotated[str, Field(pattern=r"^\d{1,12}(\.\d{1,18})?$")]
"""An amount of tokens as people write it: "2.5". A text, as TOML's own numbers are binary fractions."""

RegionText = Annotated[str, Field(pattern=r"^[!-~]{1,12}$")]
"""As a row holds it (`REGION_BYTES`), without spaces."""


class SetupAnswers(Section):
    """All that may be answered; what is None is taken from the settings that are there, or is asked for.

    Prices are tokens per core-hour of CPU, per GiB-hour of memory and of storage, per GiB out of pods and
    into them; the last three follow from the market or from the first two. `market` is a file as
    `python -m trustedpods.contracts deploy -o json` prints it, or a market.toml; `rpc` is the chain's node,
    where the market file names none or another is wanted. `data` is the folder of books, blobs and images.
    `user_namespaces`: each pod is to have user ids of its own outside. `public_address` is where the world
    reaches this machine, where it is another than its own.
    """

    domain: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=200)] | None = None
    market: PathText | None = None
    rpc: Annotated[str, Field(pattern=r"^(https?|wss?)://\S+$", max_length=1000)] | None = None
    owner: ConfiguredAddress | None = None
    core_hour: TokensText | None = None
    gib_hour: TokensText | None = None
    stored_gib_hour: TokensText | None = None
    egress_gib: TokensText | None = None
    ingress_gib: TokensText | None = None
    region: RegionText | None = None
    daemon: U32 | None = None
    data: PathText | None = None
    trust: Literal["sealed", "open"] | None = None
    kubeconfig: PathText | None = None
    user_namespaces: bool | None = None
    public_address: Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,3}){3}$")] | None = None

    def over(self, other: "SetupAnswers") -> "SetupAnswers":
        """These, and *other*'s where there is none here."""
        given = other.model_dump(exclude_none=True) | self.model_dump(exclude_none=True)
        return SetupAnswers.model_validate(given)


def read_answers(path: Path) -> SetupAnswers:
    """A file of answers; raises as `read_settings`."""
    return read_settings(path, SetupAnswers)


def answered(**given: object) -> SetupAnswers:
    """SetupAnswers of flags or a terminal; `BadInput` names the one that is wrong, and how it is written."""
    try:
        return SetupAnswers.model_validate(
            {name: value for name, value in given.items() if value is not None}
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise BadInput(
            f"{given[name]!r} will not do: {first['msg'].removeprefix('Value error, ')}",
            where=f"--{name.replace('_', '-')}",
            hint=f"for example {EXAMPLES[name]}" if name in EXAMPLES else None,
        ) from None


EXAMPLES = {
    "domain": "k1.example.org, of which *.k1.example.org leads to this machine too",
    "market": "/etc/trustedpods/market.toml",
    "rpc": "https://rpc.example.org",
    "owner": "0x followed by 40 hex digits",
    "core_hour": "2.5",
    "gib_hour": "0.5",
    "region": "eu-central",
    "data": "/var/lib/trustedpods",
    "public_address": "203.0.113.7",
}


def tokens(text: str, decimals: int) -> Fraction:
    """Base units of a token with so many decimals; exact."""
    return Fraction(text) * int(10**decimals)
