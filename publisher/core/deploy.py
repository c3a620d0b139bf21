# SPDX-License-Identifier: Apache-2.0
"""What a deploy sends, and under which terms it pays: built from the manifest, nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trustedpods.manifests.check.seeds import Seeds
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.ids import Address, address_bytes
from trustedpods.protocol.images.stored_size import whole_mib
from trustedpods.protocol.messages.admission import AdmitBody
from trustedpods.protocol.messages.bundle import BlobRef, Bundle, ImageRef, LayerRef, SecretValue, SeedFiles
from trustedpods.protocol.networks.book import NetworkBook
from trustedpods.protocol.sealing.blobs import derive


@dataclass(frozen=True, slots=True)
class BlobFacts:
    """What a bundle says of a blob: digest of its plaintext, size in bytes, media type."""

    digest: str
    size: int
    media_type: str


@dataclass(frozen=True, slots=True)
class ImageParts:
    """An image's blobs, manifest and configuration first; its layers (digest, unpacked), lowest first."""

    blobs: Sequence[BlobFacts]
    layers: Sequence[tuple[str, int]]


def admit_body(manifest: PodManifest, image_bytes: int, users: Iterable[int] = ()) -> AdmitBody:
    """The question whether this pod may come, whose containers have these user ids."""
    size = manifest.replica_size
    return AdmitBody(
        cpu_milli=size.cpu_milli,
        memory_mib=size.memory_mib,
        storage_mib=manifest.volume_mib,
        image_mib=whole_mib(image_bytes),
        scratch_mib=size.storage_mib,
        max_replicas=manifest.spec.scale.max,
        services={service.name: service.protocol for service in manifest.exposed_services},
        hosts=list(dict.fromkeys(host for service in manifest.spec.services for host in service.hosts)),
        volumes=manifest.volume_asks,
        names=manifest.spec.network.by_name,
        smtp=manifest.spec.network.smtp,
        own_sleep=manifest.spec.scale.own_sleep,
        user_namespaces=manifest.spec.host_users is False,
        calls=manifest.spec.network.calls,
        placement=manifest.placement,
        csi_drivers=manifest.csi_drivers,
        users=sorted(set(users)),
        ingresses=manifest.ingress_asks,
    )


def blob_ref(secret: bytes, facts: BlobFacts) -> BlobRef:
    """A blob as the provider may know it: its id and key come from the publisher's *secret*."""
    blob_id, key = derive(secret, facts.digest)
    return BlobRef(
        blob_id=blob_id, key=key, digest=facts.digest, size=facts.size, media_type=facts.media_type
    )


def bundle(
    manifest: PodManifest,
    secrets: Mapping[str, Mapping[str, bytes]],
    seeds: Seeds,
    images: Mapping[str, ImageParts],
    secret: bytes,
    commander: Address,
    book: NetworkBook | None = None,
) -> Bundle:
    """Everything that makes the pod, *images* by the container's name; *commander* alone may command it.

    *book* is what a node of a network is given of its address book.
    """
    return Bundle(
        name=manifest.metadata.name,
        manifest=manifest.model_dump_json(by_alias=True).encode(),
        images=[
            ImageRef(
                name=name,
                blobs=[blob_ref(secret, facts) for facts in image.blobs],
                layers=[LayerRef(digest=digest, unpacked=unpacked) for digest, unpacked in image.layers],
            )
            for name, image in images.items()
        ],
        secrets=[SecretValue(name=name, files=dict(files)) for name, files in secrets.items()],
        seeds=[
            SeedFiles(volume=volume, ordinal=ordinal, files=dict(files))
            for (volume, ordinal), files in seeds.items()
        ],
        commanders=[address_bytes(commander)],
        book=book,
    )
