# SPDX-License-Identifier: Apache-2.0
"""Answers of `context` and `version`, and a line of `logs -f`."""

from typing import TypedDict

from trustedpods.publisher.output.answers.words import ProviderName


class ContextJson(TypedDict):
    """A context: files of its market and key, a policy's name or file, who pays, providers by cluster."""

    market: str | None
    key: str | None
    policy: str | None
    payer: str | None
    clusters: dict[str, ProviderName]


class ContextsJson(TypedDict):
    """All contexts by name; `current` is the one that holds, null for none."""

    current: str | None
    contexts: dict[str, ContextJson]


class VersionJson(TypedDict):
    """The version of the command."""

    version: str


class LogLineJson(TypedDict):
    """One line as it comes; bytes that are no text are replaced.

    `time` is the node's (ISO 8601, UTC), null for a line that was kept of a replica that had ended.
    """

    time: str | None
    replica: str
    container: str
    text: str
