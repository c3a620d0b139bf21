# SPDX-License-Identifier: Apache-2.0
"""Event logs: what was extended into a trust domain's runtime registers (RTMR), and in which order.

The format is dstack's JSON: a list of {imr, event_type, digest, event, event_payload}. Firmware and
kernel (RTMR0-2) log digests only. For RTMR3 the digest is never taken from the log but computed
from what it says happened: SHA-384 of u32le event type, ":", name, ":", payload.
"""

import hashlib
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from trustedpods.protocol.attestation.checks import Check, need, refusal
from trustedpods.protocol.limits import KIB
from trustedpods.protocol.messages.base import U32

RTMRS: Final = 4
REGISTER_BYTES: Final = 48
RUNTIME_REGISTER: Final = 3
"""RTMR3 belongs to what runs in the guest; the firmware and the kernel extend the others."""

MAX_EVENT_LOG: Final = 32 * KIB
"""A boot with a page of events has 8 KB."""

MAX_EVENTS: Final = 256

Hex = Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$")]


class RegisterEvent(BaseModel):
    """One extension of a register."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    imr: Annotated[int, Field(ge=0, lt=RTMRS)]
    event_type: U32
    digest: Annotated[Hex, Field(max_length=2 * REGISTER_BYTES)] = ""
    event: Annotated[str, Field(max_length=128)] = ""
    event_payload: Annotated[Hex, Field(max_length=8 * KIB)] = ""

    @property
    def payload(self) -> bytes:
        """What happened, in bytes."""
        return bytes.fromhex(self.event_payload)

    @property
    def extension(self) -> bytes:
        """What the register was extended by."""
        if self.imr != RUNTIME_REGISTER:
            return bytes.fromhex(self.digest)
        text = self.event_type.to_bytes(4, "little") + b":" + self.event.encode() + b":"
        return hashlib.sha384(text + self.payload).digest()


_LOG: Final = TypeAdapter(Annotated[list[RegisterEvent], Field(max_length=MAX_EVENTS)])


def parse(raw: bytes) -> list[RegisterEvent]:
    """The events of a log; none at all where it is empty. EvidenceRefused ("event-log")."""
    need(len(raw) <= MAX_EVENT_LOG, Check.SIZE, f"{len(raw)} bytes are too many for an event log")
    if not raw:
        return []
    try:
        return _LOG.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise refusal(Check.EVENT_LOG, f"the event log is unreadable: {where}: {first['msg']}") from None


def replay(events: list[RegisterEvent], register: int) -> bytes:
    """What *register* holds after its events."""
    value = bytes(REGISTER_BYTES)
    for event in events:
        if event.imr == register:
            value = hashlib.sha384(value + event.extension).digest()
    return value


def runtime_events(raw: bytes, registers: tuple[bytes, ...]) -> tuple[tuple[str, bytes], ...]:
    """Name and payload of each event of RTMR3, once the whole log replays to *registers*.

    EvidenceRefused ("event-log", "size"). A register that the log has no event of may hold anything
    but RTMR3: that one is only what its events say.
    """
    events = parse(raw)
    if not events:
        return ()
    for register, value in enumerate(registers):
        logged = register == RUNTIME_REGISTER or any(event.imr == register for event in events)
        need(
            not logged or replay(events, register) == value,
            Check.EVENT_LOG,
            f"the event log does not replay to the quote's RTMR{register}",
        )
    return tuple((event.event, event.payload) for event in events if event.imr == RUNTIME_REGISTER)
