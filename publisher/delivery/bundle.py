# SPDX-License-Identifier: Apache-2.0
"""A pod as it is sent: the bundle, and the blobs by the ids that the provider asks for."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from trustedpods.protocol.messages.bundle import Bundle
from trustedpods.publisher.core.deploy import BlobFacts, ImageParts, blob_ref, bundle
from trustedpods.publisher.delivery.upload import Piece
from trustedpods.publisher.images.oci import VerifiedBlob
from trustedpods.publisher.market.session import Publisher
from trustedpods.publisher.pod import Pod
from trustedpods.publisher.results.validated import UpdateWay
from trustedpods.publisher.state.pod_records import Provenance


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is sent of a pod: its bundle, and where the blobs are found that its provider lacks.

    `way` is what becomes of the version before, if there is one. `provenance` is kept with it.
    """

    name: str
    way: UpdateWay
    bundle: Bundle
    pieces: Callable[[], Awaitable[Mapping[bytes, Piece]]]
    provenance: Provenance


def parcel_of(
    pod: Pod, verified: dict[str, VerifiedBlob], publisher: Publisher, provenance: Provenance, way: UpdateWay
) -> Parcel:
    """A *pod* whose images were *verified*."""

    async def pieces() -> Mapping[bytes, Piece]:
        return make_pieces(verified, publisher)

    return Parcel(pod.name, way, make_bundle(pod, publisher), pieces, provenance)


def make_bundle(pod: Pod, publisher: Publisher) -> Bundle:
    """What is sealed to the provider."""
    facts = {
        name: ImageParts(
            [BlobFacts(blob.digest, blob.size, blob.media_type) for blob in image.blobs],
            [(layer.digest, pod.layers[layer.digest].unpacked) for layer in image.layers],
        )
        for name, image in pod.images.items()
    }
    return bundle(
        pod.manifest,
        pod.loaded.secrets,
        pod.loaded.seeds,
        facts,
        publisher.secret,
        publisher.address,
        pod.book,
    )


def make_pieces(verified: dict[str, VerifiedBlob], publisher: Publisher) -> dict[bytes, Piece]:
    """The blobs of the bundle by their ids."""
    pieces = {}
    for content in verified.values():
        blob = content.blob
        ref = blob_ref(publisher.secret, BlobFacts(blob.digest, blob.size, blob.media_type))
        pieces[ref.blob_id] = Piece(ref, content)
    return pieces
