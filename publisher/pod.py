# SPDX-License-Identifier: Apache-2.0
"""Everything about a deploy that can be known and checked before anybody is asked."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trustedpods.manifests.check.references import unknown_references
from trustedpods.manifests.parse import LoadedManifest, load
from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.spec.container import Container
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol import limits
from trustedpods.protocol.errors import BadInput, NetworkFailure
from trustedpods.protocol.images.layers import LayerFacts
from trustedpods.protocol.images.runnable import program_line, user_number
from trustedpods.publisher.core.adjust import adjusted, with_containers, with_writable
from trustedpods.publisher.images.contents import capable_files, check_start, image_bytes, layer_facts
from trustedpods.publisher.images.oci import Image, SourcedImage, VerifiedBlob
from trustedpods.publisher.images.opening import ImageOpening
from trustedpods.publisher.images.programs import check_program
from trustedpods.publisher.images.source import is_of_file, lasting, open_image
from trustedpods.publisher.images.users import numbered

if TYPE_CHECKING:
    # messages cost validate a third of its time
    from trustedpods.protocol.messages.provider import TrustClass
    from trustedpods.protocol.networks.book import NetworkBook


_ANEW = "build or save the image anew, as with `skopeo copy docker-daemon:NAME oci-archive:FILE`"
"""For what is damaged, or has what no builder writes."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A manifest with its files and images, checked; `book` is a node's part of an address book."""

    manifest: PodManifest
    loaded: LoadedManifest
    images: dict[str, Image]
    layers: dict[str, LayerFacts]
    book: "NetworkBook | None" = None

    @property
    def name(self) -> str:
        """The pod's name."""
        return self.manifest.metadata.name

    @property
    def warnings(self) -> list[Problem]:
        """What is sound and may be meant otherwise."""
        return list(unknown_references(self.manifest))

    @property
    def digests(self) -> dict[str, str]:
        """Digest of each container's image, by the container's name."""
        return {name: image.digest for name, image in self.images.items()}

    @property
    def image_sources(self) -> list[str]:
        """Where the images are, each once, as a manifest names them from anywhere."""
        base = self.loaded.path.parent
        found = [lasting(one.image, base, self.images[one.name]) for one in self.manifest.spec.all_containers]
        return list(dict.fromkeys(found))

    @property
    def named_images(self) -> list[SourcedImage]:
        """Each container's image, with the place in the manifest that names it."""
        base, place = self.loaded.path.parent, self.loaded.place
        return [
            SourcedImage(self.images[container.name], container.image, base, place(location))
            for location, container in _containers(self.manifest)
        ]

    @property
    def image_bytes(self) -> int:
        """Bytes that all images take, packed and unpacked; what two containers share counts once."""
        return image_bytes(self.images.values(), self.layers)

    @property
    def users(self) -> list[int]:
        """The user id of each container."""
        return [
            user_number(self.images[one.name].config.user, one.security_context.user)
            for one in self.manifest.spec.all_containers
        ]

    @property
    def capable_files(self) -> list[str]:
        """Programs in the images that start only with capabilities, which no pod has."""
        found = [path for image in self.images.values() for path in capable_files(image, self.layers)]
        return list(dict.fromkeys(found))


def read_pod(
    file: Path,
    cache: Path,
    name: str | None = None,
    trust: "TrustClass | None" = None,
    opening: ImageOpening | None = None,
) -> Pod:
    """Read a manifest, the secrets it names and its images; a layer that is known is not read again.

    Raises `BadInput`, and `NetworkFailure` for an image of a registry, before anything was sent or paid.
    """
    return pod_of(load(file), cache, name, trust, opening)


def pod_of(
    loaded: LoadedManifest,
    cache: Path,
    name: str | None = None,
    trust: "TrustClass | None" = None,
    opening: ImageOpening | None = None,
) -> Pod:
    """The same of a manifest that was read already."""
    opening = opening or ImageOpening()
    file, manifest = loaded.path, adjusted(loaded, name, trust)
    known: dict[str, Image] = {}
    images: dict[str, Image] = {}
    layers: dict[str, LayerFacts] = {}
    numbers: dict[str, Container] = {}
    for location, named in _containers(manifest):
        where = loaded.place(location)
        if named.image not in known:
            known[named.image], facts = _open(named.image, file, cache, where, opening)
            layers |= facts
        images[named.name] = image = known[named.image]
        at = (*location[:-1], "securityContext", "runAsUser")
        user_at = loaded.place(at) if named.security_context.run_as_user else where
        container = numbers[named.name] = numbered(named, image, cache, user_at)
        check_start(image, layers, container.command, container.args, where, container.security_context.user)
        line = program_line(image.config, container.command, container.args)
        mounts = [mount.mount_path for mount in container.volume_mounts]
        check_program(image, line, mounts, cache, where)
    if len(images) > limits.MAX_IMAGES:
        raise BadInput(f"{len(images)} images; the bound is {limits.MAX_IMAGES}", where=str(file))
    try:
        declared = {name: image.config.volumes for name, image in images.items()}
        whole = with_writable(with_containers(manifest, numbers), declared)
    except BadInput as error:
        raise BadInput(error.what, where=str(file), hint=error.hint) from None
    return Pod(whole, loaded, images, layers)


def _containers(manifest: PodManifest) -> Iterator[tuple[Location, Container]]:
    """Every container, with the place in the manifest that names its image."""
    for field, found in (
        ("initContainers", manifest.spec.init_containers),
        ("containers", manifest.spec.containers),
    ):
        for index, container in enumerate(found):
            yield ("spec", field, index, "image"), container


def _open(
    reference: str, file: Path, cache: Path, where: str, opening: ImageOpening
) -> tuple[Image, dict[str, LayerFacts]]:
    try:
        image = open_image(reference, file.parent, cache, opening)
        return image, layer_facts(image, cache)
    except (BadInput, NetworkFailure) as error:
        what = f"{error.where}: {error.what}" if error.where else error.what
        hint = error.hint or (_ANEW if is_of_file(reference) else None)
        raise type(error)(what, where=where, hint=hint) from None


def verify_images(pod: Pod) -> dict[str, VerifiedBlob]:
    """Read every blob once and compare it with its digest; by digest."""
    return verified_blobs(pod.images.values())


def verified_blobs(images: Iterable[Image]) -> dict[str, VerifiedBlob]:
    """The same of *images*."""
    verified: dict[str, VerifiedBlob] = {}
    for image in images:
        for blob in image.blobs:
            if blob.digest not in verified:
                verified[blob.digest] = blob.verify()
    return verified
