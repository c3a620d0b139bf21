# SPDX-License-Identifier: Apache-2.0
"""Answers of the verbs on manifests: `validate`, `init` and `convert`."""

from typing import Literal, TypedDict

from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.publisher.output.answers.words import Mib, Milli
from trustedpods.publisher.results.validated import UpdateWay


class ValidateJson(TypedDict):
    """A manifest that is sound, with its secrets and images. CPU and memory are one replica's."""

    pod: str
    images: dict[str, str]
    image_bytes: int
    cpu_milli: Milli
    memory_mib: Mib
    volume_mib: Mib
    update: UpdateWay
    trust: TrustClass
    warnings: list[str]
    valid: Literal[True]


class ValidatedNodeJson(ValidateJson):
    """A node's pod, and its cluster: null where an apply chooses it."""

    cluster: str | None


class ValidatedNetworkJson(TypedDict):
    """A sound Network file. `members` counts the team that it gives, null where it gives none."""

    network: str
    nodes: dict[str, ValidatedNodeJson]
    members: int | None
    valid: Literal[True]


class DraftJson(TypedDict):
    """A manifest that was made, and the file that it was written to; `notes` are to be looked at."""

    pod: str
    manifest: str
    file: str | None
    notes: list[str]
