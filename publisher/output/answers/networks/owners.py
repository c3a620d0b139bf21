# SPDX-License-Identifier: Apache-2.0
"""Answers of the verbs on a network's file, on cards, and on networks of other owners."""

from typing import NotRequired, TypedDict

from trustedpods.publisher.output.answers.networks.nodes import NetworkJson, OwnerJson
from trustedpods.publisher.output.answers.words import ProviderName


class CardJson(TypedDict):
    """A member's address and card, which an owner names to let him in."""

    member: str
    card: str


class NetworkDraftJson(TypedDict):
    """A network's first file; files that were `written` or `kept`, and images that must be there."""

    network: str
    kind: str
    file: str
    written: list[str]
    kept: list[str]
    images: list[str]


class RenderedNodeJson(TypedDict):
    """A node's whole manifest; with `--objects` what its provider's cluster would hold."""

    pod: str
    manifest: dict[str, object]
    provider: NotRequired[ProviderName]
    objects: NotRequired[list[dict[str, object]]]


class NetworkRenderJson(NetworkJson):
    """Nodes by name, in the order of the file."""

    nodes: dict[str, RenderedNodeJson]


class ExportJson(NetworkJson):
    """A signed document for another owner (`to`: null for anybody), and what it tells him.

    `shared` are SHA-256 digests of files by their names.
    """

    to: str | None
    nodes: list[str]
    shared: dict[str, str]
    document: str


class LinkJson(NetworkJson):
    """A link with another owner: nodes that came and went, the word for him, and files that came along."""

    alias: str
    link: OwnerJson
    changed: bool
    came: list[str]
    gone: list[str]
    document: str | None
    files: list[str]
