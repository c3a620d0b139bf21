# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with an order, in our own errors."""

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.core.certificates.types import FailureKind


class OrderFailure(NetworkFailure):
    """An authority, or a proof, did not do what it was asked; `kind` says what became of the order.

    `retry_s` is for how many seconds the authority wants to be left alone; 0 if it did not say.
    """

    def __init__(
        self,
        what: str,
        kind: FailureKind,
        *,
        rule: str,
        where: str | None = None,
        hint: str | None = None,
        retry_s: int = 0,
    ) -> None:
        super().__init__(what, where=where, hint=hint, rule=rule)
        self.kind = kind
        self.retry_s = retry_s
