# SPDX-License-Identifier: Apache-2.0
"""Everything about a deploy that can be known and checked before anybody is asked."""

from dataclasses import dataclass
from pathlib import Path

from trustedpods.manifests.model import PodManifest
from trustedpods.manifests.parse import LoadedManifest, load
from trustedpods.protocol import limits
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages import Bundle, TrustClass
from trustedpods.publisher.core.cost import Shape, shape_of
from trustedpods.publisher.core.deploy import BlobFacts, adjusted, blob_ref, bundle
from trustedpods.publisher.images.oci import Image, VerifiedBlob
from trustedpods.publisher.images.runnable import check_user
from trustedpods.publisher.images.source import open_image
from trustedpods.publisher.session import Publisher
from trustedpods.publisher.upload import Piece


@dataclass(frozen=True, slots=True)
class Pod:
    """A manifest with its files and images, checked."""

    manifest: PodManifest
    loaded: LoadedManifest
    images: dict[str, Image]

    @property
    def name(self) -> str:
        """The pod's name."""
        return self.manifest.metadata.name

    @property
    def image_bytes(self) -> int:
        """Bytes of all images; what two containers share counts once."""
        return sum(
            {blob.digest: blob.size for image in self.images.values() for blob in image.blobs}.values()
        )

    @property
    def shape(self) -> Shape:
        """Its size as far as money goes."""
        return shape_of(self.manifest, self.image_bytes)


def read_pod(file: Path, cache: Path, name: str | None = None, trust: TrustClass | None = None) -> Pod:
    """Read a manifest, the secrets it names and its images; layers are not hashed yet.

    Raises `BadInput`, before anything was sent or paid.
    """
    loaded = load(file)
    manifest = adjusted(loaded, name, trust)
    known: dict[str, Image] = {}
    images: dict[str, Image] = {}
    for index, container in enumerate(manifest.spec.containers):
        where = f"{file}: spec.containers[{index}].image"
        if container.image not in known:
            known[container.image] = _open(container.image, file, cache, where)
        images[container.name] = known[container.image]
        check_user(images[container.name], where)
    if len(images) > limits.MAX_IMAGES:
        raise BadInput(f"{len(images)} images; the bound is {limits.MAX_IMAGES}", where=str(file))
    return Pod(manifest, loaded, images)


def _open(reference: str, file: Path, cache: Path, where: str) -> Image:
    try:
        return open_image(reference, file.parent, cache)
    except BadInput as error:
        what = f"{error.where}: {error.what}" if error.where else error.what
        raise BadInput(what, where=where, hint=error.hint) from None


def verify_images(pod: Pod) -> dict[str, VerifiedBlob]:
    """Read every blob once and compare it with its digest; by digest."""
    verified: dict[str, VerifiedBlob] = {}
    for image in pod.images.values():
        for blob in image.blobs:
            if blob.digest not in verified:
                verified[blob.digest] = blob.verify()
    return verified


def make_bundle(pod: Pod, publisher: Publisher) -> Bundle:
    """What is sealed to the provider."""
    facts = {
        name: [BlobFacts(blob.digest, blob.size, blob.media_type) for blob in image.blobs]
        for name, image in pod.images.items()
    }
    return bundle(pod.manifest, pod.loaded.secrets, facts, publisher.secret, publisher.address)


def make_pieces(verified: dict[str, VerifiedBlob], publisher: Publisher) -> dict[bytes, Piece]:
    """The blobs of the bundle by their ids."""
    pieces = {}
    for content in verified.values():
        blob = content.blob
        ref = blob_ref(publisher.secret, BlobFacts(blob.digest, blob.size, blob.media_type))
        pieces[ref.blob_id] = Piece(ref, content)
    return pieces
