# SPDX-License-Identifier: Apache-2.0
"""What is asked and told of a pod that exists: its status, its logs, its end."""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol import limits
from trustedpods.protocol.messages.base import U32, U64, U256, Bytes20, Digest, LongText, Message, ShortText
from trustedpods.protocol.networks.names import MAX_IDENTITY


class StatusBody(Message):
    """How is the pod?"""

    kind: Literal["status"] = "status"


class LogsBody(Message):
    """Lines that a container wrote: of the newest replica, or, where none runs, of the last that did.

    `previous` asks for all runs that ended and are still kept, oldest first. With `since_s` only lines of so
    many last seconds; of runs that ended, all that is kept of those that ended since. To go on as lines come
    is another verb: `messages/streams/followed.py`.
    """

    kind: Literal["logs"] = "logs"
    container: ShortText | None = None
    tail: Annotated[int, Field(ge=1, le=10_000)] = 100
    previous: bool = False
    since_s: Annotated[int, Field(ge=1, le=limits.MAX_SINCE_S)] | None = None


class RestartBody(Message):
    """Start the pod anew from the bundle that runs: answered by `RestartPlan`, then as a `provision` is.

    With `plan_only` nothing is done, and the plan is the last reply.
    """

    kind: Literal["restart"] = "restart"
    plan_only: bool = False


class RestartPlan(Message):
    """What a restart does with the `replicas` that run now.

    `stops`: they end first, as two must not write one volume; else a new one is proven beside them.
    """

    kind: Literal["restart-plan"] = "restart-plan"
    replicas: U32
    stops: bool


class StopBody(Message):
    """Have no replica until the publisher starts the pod again: answered by the pod's `PodStatus`.

    Volumes, addresses and the channel stay. A pod that is stopped already stays so.
    """

    kind: Literal["stop"] = "stop"


class StartBody(Message):
    """Let a pod that its publisher stopped run again: answered by the pod's `PodStatus`, at once."""

    kind: Literal["start"] = "start"


class DeleteBody(Message):
    """Settle, release, remove: answered by `Done`. Volumes that outlive their pod stay unless `purge` is set.

    Where some stay the channel goes on paying for them, and the answer is the pod's `PodStatus`.
    """

    kind: Literal["delete"] = "delete"
    purge: bool = False


class Endpoint(Message):
    """Where one port of one service is reached."""

    service: ShortText
    port: Annotated[int, Field(ge=1, le=65535)]
    url: ShortText


class Statement(Message):
    """What the provider confirms, signed by the attested reply key; see `SignedStatement`.

    `identity` is the public half of the key that was made for the pod and that it is known by, as a
    SubjectPublicKeyInfo; empty where there is none.
    """

    kind: Literal["statement"] = "statement"
    channel: Annotated[bytes, Field(min_length=24, max_length=24)]
    generation: U64
    namespace: ShortText
    endpoints: Annotated[list[Endpoint], Field(max_length=64)]
    images: dict[ShortText, Digest]
    terms: U256
    meter: Bytes20
    issued_at: U64
    identity: Annotated[bytes, Field(max_length=MAX_IDENTITY)] = b""


class SignedStatement(Message):
    """`statement` is a coded `Statement`; the signature covers exactly those bytes."""

    kind: Literal["signed-statement"] = "signed-statement"
    statement: Annotated[bytes, Field(max_length=64 * limits.KIB)]
    signature: Annotated[bytes, Field(min_length=64, max_length=64)]


class PodEvent(Message):
    """One line of a pod's history, kept by the provider longer than Kubernetes does."""

    at: U64
    reason: ShortText
    text: LongText


class PodFailure(Message):
    """Why a pod that was proven does not start now, for its owner alone.

    `reason` is one sentence, `lines` what the container wrote last. `exit_code` and `ended_at` are
    those of `container`, where one ended. `tries` failed one after another. Before `next_try_at`
    (Unix seconds) nothing is tried; after it the pod tries by itself, or a request makes it.
    """

    reason: LongText
    container: ShortText | None
    exit_code: Annotated[int, Field(ge=-(1 << 31), lt=1 << 31)] | None
    ended_at: U64 | None
    lines: LongText
    tries: U32
    next_try_at: U64
    by_itself: bool


class PublisherRoom(Message):
    """What all replicas of one publisher's pods may still take at a provider; None is any number."""

    pods: U32 | None
    cpu_milli: U32 | None
    memory_mib: U32 | None


class PodStatus(Message):
    """What a pod does now, why, and how long its money lasts.

    `phase` is `failing` while a pod that was proven does not start; `failure` then says why. `version`
    counts the bundles of the pod that proved themselves: the last of them serves.
    `services` says by name what each service is exposed by, in the manifest's word; where that is, stands in
    the statement. `parked_at` is there while its publisher has stopped it, since then; in the phase `parked`
    nothing else keeps it from running. `outliving` has the MiB of each claim that outlives a delete; in the
    phase `retained` it is all that is left. `name` is the manifest's, where this boot of the machine can read
    it: the publisher may have forgotten it. `cpu_milli` and `memory_mib` are what one replica holds, and
    `least_replicas` run without being asked for. `last_request_at` is when the last request or connection
    began, where the provider has seen one since it started. `drain_at` is when the provider removes it, as it
    removes all its pods then. `room` is what its publisher may still start there, where that is bounded.
    """

    kind: Literal["status"] = "status"
    phase: ShortText
    reason: LongText
    generation: U64
    replicas: U32
    ready: U32
    statement: SignedStatement | None
    deposit: U256
    claimed: U256
    accrued: U256
    runway_s: U64 | None
    up_to: U64
    unlock_at: U64
    services: Annotated[dict[ShortText, ShortText], Field(max_length=64)]
    events: Annotated[list[PodEvent], Field(max_length=256)]
    failure: PodFailure | None = None
    version: U32 = 0
    outliving: dict[ShortText, U32] = Field(default_factory=dict, max_length=limits.MAX_CLAIMS)
    name: ShortText = ""
    cpu_milli: U32 = 0
    memory_mib: U32 = 0
    parked_at: U64 | None = None
    least_replicas: U32 = 0
    last_request_at: U64 | None = None
    drain_at: U64 | None = None
    room: PublisherRoom | None = None


class LogLines(Message):
    """A piece of a container's output: of the replica that runs, or of a run that ended (Unix seconds)."""

    kind: Literal["log-lines"] = "log-lines"
    container: ShortText
    data: Annotated[bytes, Field(max_length=limits.MAX_LOG_REPLY)]
    replica: ShortText = ""
    ended_at: U64 | None = None
