# SPDX-License-Identifier: Apache-2.0
"""After a provider's reboot: move the pod's channel to the newly attested meter, and send the bundle again.

The machine was attested just now, under the policy that held at the deploy. A kill anywhere is
harmless: the channel tells whether it was moved, the provider's phase whether the pod was released.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from trustedpods.contracts.eip712 import Domain, Move, sign_move
from trustedpods.contracts.records import Channel, meter_tag
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import BadInput, Refused, RemoteProtocolError
from trustedpods.protocol.ids import Address, PodRef, address_bytes, address_from_bytes, channel_hex
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.bundle import Bundle
from trustedpods.protocol.messages.pod import SignedStatement, Statement
from trustedpods.protocol.messages.rotation import RotateBody
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.context import cache_dir
from trustedpods.publisher.journal import Journal, Step
from trustedpods.publisher.market.locations import PodLocation
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session, next_generation
from trustedpods.publisher.payment import channel as channels
from trustedpods.publisher.state.pod_records import PodRecord
from trustedpods.publisher.visits.records import pod_records

if TYPE_CHECKING:
    from trustedpods.publisher.delivery.provision import Confirmed
    from trustedpods.publisher.delivery.upload import Piece
    from trustedpods.publisher.images.oci import Image

MOVE_LIFETIME_S = 600
"""How long a signed move may be handed in: minutes, as it could be repeated until then."""

ROTATE_TIMEOUT_S = 120.0
"""The provider sends what its dead meter signed last, then the move: two transactions."""

AWAITING_KEY = "awaiting-key"
"""The provider's word for a pod whose bundle no key opens any more."""


def must_move(session: Session, live: Channel) -> bool:
    """Whether the channel names another meter than the machine that was attested just now."""
    return live.meter_tag != meter_tag(_meter(session))


async def move_channel(
    account: MarketAccount,
    session: Session,
    ref: PodRef,
    live: Channel,
    record: PodRecord | None,
    journal: Journal,
) -> Channel:
    """Have the provider hand in a move to its new meter; the channel as it stands afterwards.

    Nothing is settled with it: usage that the dead meter never claimed is in the provider's books, and
    the next claim must prove it under the same bounds as any other.
    Raises `Refused` when nobody knows the old meter, what the provider reports, or
    `RemoteProtocolError` when the chain does not show what it confirms.
    """
    with journal.step("rotate") as step:
        old = await _old_meter(account, ref, live, record)
        head, new = await account.chain.head(), _meter(session)
        seen = UnixSeconds(max(head.time, live.up_to + 1))  # void in any later life of the channel
        move = Move(ref.owner, ref.salt, old, new, seen, UnixSeconds(head.time + MOVE_LIFETIME_S))
        file = account.market.file
        domain = Domain.of_payments(file.chain_id, file.payments)
        signature = await trio.to_thread.run_sync(sign_move, account.publisher.key, domain, move)
        body = RotateBody(
            old_meter=address_bytes(old), as_of=seen, deadline=move.deadline, signature=signature
        )
        async with session.converse("rotate", ref, body, next_generation()) as conversation:
            done = await conversation.reply(Done, timeout=ROTATE_TIMEOUT_S)
        step.facts |= {"from": old, "to": new, "tx": _hex(done.transaction)}
        after = await channels.look(account, ref)
    if after is None or must_move(session, after):
        raise RemoteProtocolError(
            "the provider says that the channel moved, the chain does not", rule="moved"
        )
    journal.event("rotated", "the channel names the meter of the provider's present boot")
    return after


async def _old_meter(account: MarketAccount, ref: PodRef, live: Channel, record: PodRecord | None) -> Address:
    """The meter that the channel names: it keeps 120 bits of it, so somebody has to remember the rest."""
    known = [] if record is None or record.meter is None else [Address(record.meter)]
    for meter in known:
        if meter_tag(meter) == live.meter_tag:
            return meter
    for meter in reversed(await account.chain.meters(ref.owner, ref.channel)):
        if meter_tag(meter) == live.meter_tag:
            return meter
    raise Refused(
        "neither this client nor the chain's node remembers the channel's old meter",
        rule="old-meter",
        hint="try a node that keeps events, or `trustedpods close NAME` and deploy again",
    )


async def release(
    account: MarketAccount,
    session: Session,
    location: PodLocation,
    record: PodRecord | None,
    journal: Journal,
    served: SignedStatement | None,
    sending_as: Callable[[int], None],
) -> "Confirmed":
    """Send the kept bundle to the newly attested key; returns when the pod serves again.

    *sending_as* is told the request's generation before it goes: whoever is killed meanwhile knows it for
    their own. *served* is what the provider says that it confirmed last, where it still can.

    Raises `Refused` (rule "no-bundle") where this client never deployed the pod, or keeps another bundle
    than that.
    """
    from trustedpods.publisher.delivery.provision import ProvisionConversation  # noqa: PLC0415 - only after a restart

    name = channel_hex(location.ref.channel)
    bundle = pod_records().bundle(name, account.publisher.secret)
    if bundle is None:
        raise Refused(
            "the provider's machine was restarted, and this client has no copy of the pod's bundle",
            rule="no-bundle",
            hint="`trustedpods deploy FILE` releases it again; its volumes are kept",
        )
    _check_served(bundle, served)
    images = () if record is None else record.images

    async def pieces() -> Mapping[bytes, "Piece"]:
        return await trio.to_thread.run_sync(pieces_of, account, bundle, images)

    async def pay(step: Step) -> None:
        step.facts["opened"] = False

    sending = ProvisionConversation(session, location.ref, bundle, pieces, location.live.terms, journal)
    sending_as(sending.generation)
    confirmed = await sending.run(pay)
    journal.event("released", f"{bundle.name} serves again, with its volumes")
    return confirmed


def _check_served(bundle: Bundle, served: SignedStatement | None) -> None:
    """Whoever signed it: it can only keep a bundle back."""
    if served is None:
        return
    kept = {image.name: image.blobs[0].digest for image in bundle.images}
    if decode(served.statement, Statement).images != kept:
        raise Refused(
            "the bundle that this client keeps is not the one that the provider confirmed last",
            rule="no-bundle",
            hint="`trustedpods deploy FILE` releases the pod again; its volumes are kept",
        )


def images_of(sources: Sequence[str]) -> "list[Image]":
    """What a `PodRecord` says that its images were opened from, opened again. Raises as `open_image`."""
    from trustedpods.publisher.images.source import open_image  # noqa: PLC0415 - reads images: rarely needed

    return [open_image(reference, Path("/"), cache_dir()) for reference in sources]


def pieces_of(account: MarketAccount, bundle: Bundle, images: Sequence[str]) -> Mapping[bytes, "Piece"]:
    """The images' content, only read when the provider has lost some of it."""
    from trustedpods.publisher.delivery.bundle import make_pieces  # noqa: PLC0415 - reads images: rarely needed
    from trustedpods.publisher.pod import verified_blobs  # noqa: PLC0415 - as above

    if not images:
        raise Refused("the provider lacks images, and it is not known where they are", rule="no-images")
    opened = images_of(images)
    pieces = make_pieces(verified_blobs(opened), account.publisher)
    wanted = {blob.blob_id for image in bundle.images for blob in image.blobs}
    if not wanted <= pieces.keys():
        raise BadInput(
            "its images are others than those that were deployed",
            where=", ".join(images),
            hint="`trustedpods deploy` takes the new ones",
        )
    return pieces


def _meter(session: Session) -> Address:
    return address_from_bytes(session.binding.meter)


def _hex(transaction: bytes | None) -> str | None:
    return None if transaction is None else "0x" + transaction.hex()
