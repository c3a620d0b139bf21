# SPDX-License-Identifier: Apache-2.0
"""Asks a provider what is there of a pod; see `core.ownership` for what follows from it."""

from collections.abc import Awaitable, Callable

from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.protocol.ids import PodRef
from trustedpods.protocol.messages.pod import PodStatus, Statement, StatusBody
from trustedpods.publisher.core.ownership import NO_POD, Told
from trustedpods.publisher.market.session import Session, next_generation

Ask = Callable[[], Awaitable[Told | None]]
"""Asks what is there now; None where the provider does not tell."""


async def told_by(session: Session, ref: PodRef) -> Told | None:
    """What the provider says of the pod now; None where it does not answer, or says nothing that helps."""
    try:
        status = await session.ask("status", ref, StatusBody(), next_generation(), PodStatus)
        signed = status.statement  # its reply is signed: whose word the statement is matters not here
        served = None if signed is None else decode(signed.statement, Statement).generation
    except Refused as error:
        return NO_POD if error.rule == "unknown-pod" else None
    except TrustedPodsError:
        return None
    return Told(status.phase, status.generation, served)
