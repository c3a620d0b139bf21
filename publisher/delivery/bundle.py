# SPDX-License-Identifier: Apache-2.0
"""A pod as it is sent: the bundle, and the blobs by the ids that the provider asks for."""

from trustedpods.protocol.messages.bundle import Bundle
from trustedpods.publisher.core.deploy import BlobFacts, ImageParts, blob_ref, bundle
from trustedpods.publisher.delivery.upload import Piece
from trustedpods.publisher.images.oci import VerifiedBlob
from trustedpods.publisher.market.session import Publisher
from trustedpods.publisher.pod import Pod


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
