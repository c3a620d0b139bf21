# SPDX-License-Identifier: Apache-2.0
"""`cp`: what was copied."""

from dataclasses import dataclass

from trustedpods.publisher.results.pods import VisitedPod


@dataclass(frozen=True, slots=True)
class CopyResult:
    """From where to where, how many files with how many bytes, and what was left out, with the reason."""

    pod: VisitedPod
    source: str
    target: str
    files: int
    size: int
    left_out: tuple[str, ...] = ()
