# SPDX-License-Identifier: Apache-2.0
"""What an archive of an older `docker save` says it holds: `manifest.json`, in the order of its images."""

import json
from typing import Any

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.strict_json import MAX_JSON, check_depth
from trustedpods.protocol.limits import MAX_BLOBS
from trustedpods.publisher.images.layout import Layout
from trustedpods.publisher.images.names import NamedImage


def images_of(layout: Layout) -> list[NamedImage[int]]:
    """The archive's images, each with its place in the archive; one without a name is called by its digest.

    That is the digest of its configuration, Docker's image id. Raises `BadInput` naming the archive.
    """
    found = layout.find("manifest.json")
    if found is None or found.size > MAX_JSON:
        raise BadInput("not a docker-archive: there is no manifest.json in it", where=layout.place)
    data = found.read(0, found.size)
    try:
        check_depth(data, "its manifest.json")
        listed = json.loads(data)
        if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_BLOBS:
            raise TypeError  # noqa: TRY301 - one message for all that is no such list
        return [NamedImage(_names(one), _digest(one["Config"]), place) for place, one in enumerate(listed)]
    except (BadInput, ValueError, TypeError, KeyError):
        raise BadInput("damaged: its manifest.json is no list of images", where=layout.place) from None


def _names(image: dict[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in image.get("RepoTags") or () if isinstance(name, str) and name)


def _digest(config: str) -> str:
    """`HASH.json` of `docker save` and podman, or `blobs/sha256/HASH`."""
    return "sha256:" + config.rpartition("/")[2].removesuffix(".json")
