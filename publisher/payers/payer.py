# SPDX-License-Identifier: Apache-2.0
"""A payer, as a flag, the environment or a context names it.

It holds no key: an address, and where its signatures come from. It pays deposits to the publisher's own
address, whose key commands pods; what it is asked for is one plain transfer of the token for each deposit.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import Address, parse_address
from trustedpods.publisher.contexts import load_contexts

PAYER_VARIABLE = "TRUSTEDPODS_PAYER"

_SAFE = "safe:"
_FORMS = (
    "ADDRESS@/path/to/clef.ipc or ADDRESS@http://127.0.0.1:8550 for an account of a signer, "
    "safe:ADDRESS for a Safe"
)


@dataclass(frozen=True, slots=True)
class SignerPayer:
    """An account whose key a signer on this machine keeps, or a device behind it.

    `place` is the path of the signer's socket, or its http address.
    """

    address: Address
    place: str

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.address}@{self.place}"


@dataclass(frozen=True, slots=True)
class SafePayer:
    """A contract account (a Safe), whose owners execute what they are handed as a file."""

    address: Address

    def __str__(self) -> str:
        """As it is written."""
        return f"{_SAFE}{self.address}"


Payer = SignerPayer | SafePayer


def parse_payer(text: str, where: str) -> Payer:
    """A payer as it is written; `BadInput` naming *where* when it is none."""
    try:
        if text.startswith(_SAFE):
            return SafePayer(parse_address(text.removeprefix(_SAFE)))
        address, at, place = text.partition("@")
        if at and (place.startswith("/") or (place.startswith("http://") and "@" not in place)):
            return SignerPayer(parse_address(address), place)
    except BadInput as error:
        raise BadInput(f"the payer's address: {error.what}", where=where, hint=error.hint or _FORMS) from None
    raise BadInput("this names no payer", where=where, hint=_FORMS)  # it may be a key: not repeated


def is_named(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment or the context names a payer, whatever it is."""
    text, _ = _written(None, environment)
    return bool(text)


def find_payer(flag: str | None, environment: Mapping[str, str] = os.environ) -> Payer | None:
    """Who is meant: *flag*, else $TRUSTEDPODS_PAYER, the context's; None: the key's own address pays.

    An empty text says that nobody else pays, whatever the context has. Raises `BadInput`.
    """
    text, where = _written(flag, environment)
    return parse_payer(text, where) if text else None


def _written(flag: str | None, environment: Mapping[str, str]) -> tuple[str | None, str]:
    """What names the payer, and where it stands; the first that is there counts, also where it is empty."""
    for text, where in ((flag, "--payer"), (environment.get(PAYER_VARIABLE), f"${PAYER_VARIABLE}")):
        if text is not None:
            return text, where
    context = load_contexts(environment).chosen
    return (None, "") if context is None else (context.payer, f"payer of the context {context.name!r}")
