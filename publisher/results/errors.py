# SPDX-License-Identifier: Apache-2.0
"""An error as a value, where one failure among several is a result and stops nothing."""

from dataclasses import dataclass
from typing import Self

from trustedpods.protocol.errors import ExitCode, TrustedPodsError


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """What happened, where, and what to do; `code` and `rule` are stable words (see `TrustedPodsError`).

    `text` is the whole error in one line, as a person reads it.
    """

    code: str
    exit_code: ExitCode
    what: str
    where: str | None
    rule: str | None
    hint: str | None
    text: str

    @classmethod
    def of(cls, error: TrustedPodsError) -> Self:
        """The same error, without its trace."""
        return cls(
            error.code, error.exit_code, error.what, error.where, error.rule, error.hint, text=str(error)
        )
