# SPDX-License-Identifier: Apache-2.0
"""One rule of refusal, and the whole list."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """What has happened where an error names this rule, and what to do about it; one sentence each."""

    meaning: str
    advice: str
