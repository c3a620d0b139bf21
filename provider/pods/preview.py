# SPDX-License-Identifier: Apache-2.0
"""A pod that was only asked about: a bundle with everything but the contents of its files and images."""

from trustedpods.manifests.parse import parse_received
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.admission import RenderBody
from trustedpods.protocol.messages.bundle import BlobRef, Bundle, ImageRef, SecretValue
from trustedpods.provider.pods.bundles import OpenBundle

_UNKNOWN_KEY = bytes(32)
_UNKNOWN = BlobRef(
    blob_id=_UNKNOWN_KEY, key=_UNKNOWN_KEY, digest="sha256:" + 64 * "0", size=0, media_type="unknown"
)


def without_files(body: RenderBody) -> OpenBundle:
    """What the pod's objects can be made from; its secrets' files are empty, its images have a digest alone.

    Raises BadInput for a manifest that is not sound, and for images that are not its containers'.
    """
    manifest = parse_received(body.manifest)
    containers = [container.name for container in manifest.spec.all_containers]
    if sorted(body.images) != sorted(containers):
        raise BadInput("the images are not those of the manifest's containers", where="images")
    images = [
        ImageRef(name=name, blobs=[_UNKNOWN.model_copy(update={"digest": digest}), _UNKNOWN], layers=[])
        for name, digest in body.images.items()
    ]
    secrets = [
        SecretValue(
            name=volume.name, files=dict.fromkeys([*volume.secret.files, *volume.secret.generate], b"")
        )
        for volume in manifest.spec.volumes
        if volume.secret
    ]
    bundle = Bundle(
        name=manifest.metadata.name,
        manifest=body.manifest,
        images=images,
        secrets=secrets,
        seeds=[],
        commanders=[bytes(20)],
    )
    return OpenBundle(bundle, manifest)
