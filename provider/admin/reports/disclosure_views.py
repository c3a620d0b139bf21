# SPDX-License-Identifier: Apache-2.0
"""What an operator can tell of a pod to whoever may ask: each field is named here, none is of its content."""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.provider.admin.views import MAX_TARGET, AdminRequest, View
from trustedpods.provider.core.pod import Phase


class DiscloseRequest(AdminRequest):
    """What is known of the pod that *target* means: its label, channel, host, or a replica's address?"""

    verb: Literal["disclose"] = "disclose"
    target: Annotated[str, Field(max_length=MAX_TARGET)]


class DisclosedEvent(View):
    """When something happened to the pod (Unix seconds), and the word for it; not what was said with it."""

    at: int
    word: str


class Disclosure(View):
    """One pod: whose it is, by which money, since when, how large, and where it is reached.

    `publisher` is the key that opened the channel, `commanders` the keys that may command the pod. Who paid
    into `channel` stands in the chain's own events of `payments`. `claimed` is base units of `token`, of its
    present life. `hosts` are what the facade serves it under, as far as this boot can open its bundle. Times
    are Unix seconds; `denied` says whether its publisher is kept out.
    """

    label: str
    channel: str
    publisher: str
    commanders: list[str]
    owner: str
    chain_id: int
    payments: str
    token: str
    claimed: str
    phase: Phase
    changed_at: int
    stopped_at: int | None
    events: list[DisclosedEvent]
    hosts: list[str]
    cpu_milli: int
    memory_mib: int
    volume_mib: int
    image_mib: int
    scratch_mib: int
    denied: bool
