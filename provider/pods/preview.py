# SPDX-License-Identifier: Apache-2.0
"""A pod that was only asked about: a bundle with everything but the contents of its files and images."""

from collections.abc import Mapping

from trustedpods.manifests.check.seeds import wanted_seeds
from trustedpods.manifests.parse import parse_received
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.runnable import check_user
from trustedpods.protocol.messages.admission import RenderBody
from trustedpods.protocol.messages.bundle import BlobRef, Bundle, ImageRef, SecretValue
from trustedpods.provider.pods.bundles import OpenBundle

_UNKNOWN_KEY = bytes(32)
_UNKNOWN = BlobRef(
    blob_id=_UNKNOWN_KEY, key=_UNKNOWN_KEY, digest="sha256:" + 64 * "0", size=0, media_type="unknown"
)


def without_files(body: RenderBody) -> OpenBundle:
    """What the pod's objects can be made from; its secrets' values are empty, its images have a digest alone.

    Raises BadInput for a manifest that is not sound, and for images that are not its containers'.
    """
    seeds = {(part.volume, part.ordinal): part.files for part in body.seeds}
    manifest = parse_received(body.manifest, seeds=seeds)
    if len(seeds) != len(body.seeds) or seeds.keys() != set(wanted_seeds(manifest)):
        raise BadInput("the seeds are not those of the manifest", where="seeds")
    if any(volume.seed for volume in manifest.spec.volumes):
        _check_users(manifest, body.users)
    containers = [container.name for container in manifest.spec.all_containers]
    if sorted(body.images) != sorted(containers):
        raise BadInput("the images are not those of the manifest's containers", where="images")
    images = [
        ImageRef(name=name, blobs=[_UNKNOWN.model_copy(update={"digest": digest}), _UNKNOWN], layers=[])
        for name, digest in body.images.items()
    ]
    secrets = [
        SecretValue(name=volume.name, files=dict.fromkeys(volume.secret.files, b""))
        for volume in manifest.spec.volumes
        if volume.secret
    ]
    bundle = Bundle(
        name=manifest.metadata.name,
        manifest=body.manifest,
        images=images,
        secrets=secrets,
        seeds=body.seeds,
        commanders=[bytes(20)],
        book=body.book,
    )
    return OpenBundle(bundle, manifest)


def _check_users(manifest: PodManifest, users: Mapping[str, str]) -> None:
    """Each container runs as somebody, by the manifest or by its image."""
    for container in manifest.spec.all_containers:
        if container.security_context.user is None:
            check_user(users.get(container.name, ""))
