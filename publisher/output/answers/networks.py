# SPDX-License-Identifier: Apache-2.0
"""Answers of the verbs on networks of pods."""

from typing import TypedDict

from trustedpods.publisher.output.answers.parts import ErrorJson
from trustedpods.publisher.output.answers.pods import StatusJson


class UnknownJson(TypedDict):
    """Why nobody could tell."""

    error: ErrorJson


class NodeJson(TypedDict):
    """A node as the network's document has it, and as its provider tells (`live`), where it was asked."""

    cluster: str
    phase: str
    publisher: str
    pod: str
    url: str | None
    sound: bool
    live: StatusJson | UnknownJson | None


class OwnerJson(TypedDict):
    """Another owner that this network is linked with, and the addresses of its nodes."""

    owner: str
    state: str
    nodes: dict[str, list[str]]


class NetworkStatusJson(TypedDict):
    """All nodes of a network, by name; `exit` is the code that the verb ends with."""

    network: str
    founder: str
    generation: int
    clusters: dict[str, str]
    members: dict[str, str]
    nodes: dict[str, NodeJson]
    links: dict[str, OwnerJson]
    exit: int
