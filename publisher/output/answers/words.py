# SPDX-License-Identifier: Apache-2.0
"""Texts and numbers of answers, each with its unit: what a schema says of a field beside its type."""

from dataclasses import dataclass
from typing import Annotated, TypeAlias


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a value is; of a text also the regular expression that it matches."""

    about: str
    pattern: str | None = None


Tokens: TypeAlias = Annotated[str, Meaning("Whole tokens, exact.", r"^-?[0-9]+(\.[0-9]+)?$")]
BaseUnits: TypeAlias = Annotated[str, Meaning("Base units of the token, as text.", r"^-?[0-9]+$")]
UnixTime: TypeAlias = Annotated[int, Meaning("Seconds since 1970 (UTC).")]
Seconds: TypeAlias = Annotated[int, Meaning("Seconds.")]
Took: TypeAlias = Annotated[float, Meaning("Seconds, to the millisecond.")]
Milli: TypeAlias = Annotated[int, Meaning("Thousandths of a core.")]
Mib: TypeAlias = Annotated[int, Meaning("MiB.")]
TransactionHash: TypeAlias = Annotated[str, Meaning("Of a transaction.", r"^0x[0-9a-f]{64}$")]
ChannelText: TypeAlias = Annotated[
    str, Meaning("A channel, which every verb takes as a name.", "^[0-9a-f]+$")
]
ProviderName: TypeAlias = Annotated[str, Meaning("OWNER/N, as `--provider` takes it.")]
