# SPDX-License-Identifier: Apache-2.0
"""`attest`: evidence that was judged, of a provider just now or out of a file."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from trustedpods.protocol.messages.provider import TrustClass

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.verdict import Verdict


@dataclass(frozen=True, slots=True)
class AttestResult:
    """Evidence that holds.

    `provider` is OWNER/N, out of a file as the file says. `listed` is the class of the provider's row,
    `saved` where the evidence was kept; `saved_at` tells of when evidence from a file is. `draft` is the
    text of a policy that accepts it, where one was asked for.
    """

    provider: str
    verdict: "Verdict"
    listed: TrustClass | None = None
    saved: Path | None = None
    saved_at: datetime | None = None
    draft: str | None = None


@dataclass(slots=True)
class AttestProgress:
    """What is known so far; see `AttestResult`."""

    provider: str | None = None
    verdict: "Verdict | None" = None
    listed: TrustClass | None = None
    saved: Path | None = None
    saved_at: datetime | None = None
    draft: str | None = None

    def result(self) -> AttestResult:
        """All of it, once the evidence was judged."""
        assert self.provider is not None
        assert self.verdict is not None
        return AttestResult(
            self.provider, self.verdict, self.listed, self.saved, self.saved_at, draft=self.draft
        )
