# SPDX-License-Identifier: Apache-2.0
"""The question whether a pod may come, asked before any money moves, and its answer."""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol.messages.base import U32, U64, Message, ShortText
from trustedpods.protocol.messages.provider import Capacity

ServicePool = Literal["http", "h2", "tcp"]


class AdmitBody(Message):
    """May a pod of this size, with exposed `services` of these kinds, come? Asked before any money moves."""

    kind: Literal["admit"] = "admit"
    cpu_milli: U64
    memory_mib: U64
    storage_mib: U64
    image_mib: U64
    max_replicas: U32
    services: Annotated[dict[ShortText, ServicePool], Field(max_length=16)]
    hosts: Annotated[list[ShortText], Field(max_length=16)]


class Admission(Message):
    """The pod may come: what of the provider's capacity is left without it."""

    kind: Literal["admission"] = "admission"
    capacity: Capacity
