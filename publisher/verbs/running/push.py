# SPDX-License-Identifier: Apache-2.0
"""`image push`: images go to a pod's provider ahead of the version that has them."""

from collections.abc import Iterable
from pathlib import Path

import trio

from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.delivery.bundle import make_pieces
from trustedpods.publisher.delivery.upload import Traffic, upload
from trustedpods.publisher.images.oci import Image
from trustedpods.publisher.images.opening import ImageOpening
from trustedpods.publisher.images.source import image_reference, open_image
from trustedpods.publisher.journal import Journal, Meter
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import next_generation
from trustedpods.publisher.output.json_of import as_facts
from trustedpods.publisher.output.json_parts import sent_json
from trustedpods.publisher.pod import read_pod, verified_blobs
from trustedpods.publisher.results.deployed import PushResult
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.pods import visit


async def push(
    account: MarketAccount, name: str, images: Iterable[Image], progress: VisitProgress, journal: Journal
) -> PushResult:
    """Send what the provider of the pod *name* lacks of *images*, sealed; a `deploy` then sends none of it.

    May be run again: it goes on where it stopped. Raises what a visit raises, `BadInput` for a damaged
    image, and Refused where the pod does not serve or too much lies there already.
    """
    with journal.step("verify"):
        verified = await trio.to_thread.run_sync(verified_blobs, list(images))
    pieces = make_pieces(verified, account.publisher).values()
    work = [(piece, 0) for piece in sorted(pieces, key=lambda piece: -piece.ref.size)]
    traffic = Traffic()
    async with visit(account, name, progress, journal) as visited:
        with journal.step("send") as step:
            meter = Meter("images", sum(piece.ref.size for piece, _ in work), journal.show)
            session, ref = visited.session, visited.location.ref
            try:
                await upload(session, ref, next_generation(), work, meter.add, traffic, ahead=True)
            finally:
                step.facts |= as_facts(sent_json(traffic.so_far()))
        return PushResult(progress.visited(), traffic.so_far())


def images_of(
    file: Path, name: str | None, cache: Path, opening: ImageOpening | None = None
) -> tuple[str, Iterable[Image]]:
    """The pod of a manifest *file*, or that *name* says of an image, and its images as they are on this disk.

    Raises `BadInput`.
    """
    reference = image_reference(str(file))
    if reference is None:
        pod = read_pod(file, cache, name, None, opening)
        return pod.name, pod.images.values()
    if name is None:
        raise BadInput("of which pod is this image?", where=str(file), hint="--name NAME")
    return name, [open_image(reference, Path(), cache, opening)]
