# SPDX-License-Identifier: Apache-2.0
"""What is in an image's layers: how much a node unpacks, and programs that would not start there.

A layer is read once; what was found is kept by its digest and packing, which say what is in it.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.descriptors import LAYER_TYPES
from trustedpods.protocol.images.layers import LayerFacts, LayerReader
from trustedpods.protocol.images.links import Links
from trustedpods.protocol.images.runnable import capable_program, check_runnable, program_line
from trustedpods.protocol.images.stored_size import SizedImage, stored_bytes
from trustedpods.publisher.images.kept import keep, kept
from trustedpods.publisher.images.oci import Blob, Image


def layer_facts(image: Image, cache: Path) -> dict[str, LayerFacts]:
    """Facts of each layer by its digest, read or remembered below *cache*.

    Raises `BadInput` when a layer is damaged, or is none.
    """
    return {layer.digest: _facts(layer, cache / "layers") for layer in image.layers}


def _facts(layer: Blob, folder: Path) -> LayerFacts:
    packing = LAYER_TYPES[layer.media_type]
    file = folder / f"{layer.digest.removeprefix('sha256:')}.{packing or 'tar'}.json"
    known = _remembered(file)
    if known is not None:
        return known
    reader = LayerReader(packing)
    try:
        layer.verify(reader.feed)
        found = reader.finish()
    except BadInput as error:
        where = error.where or str(layer.extent.path)
        raise BadInput(f"{error.what} ({layer.digest[:19]})", where=where, hint=error.hint) from None
    keep(file, {"unpacked": found.unpacked, "capable": found.capable})
    return found


def _remembered(file: Path) -> LayerFacts | None:
    """What an earlier run found; whatever is not exactly that is read anew."""
    tree = kept(file) or {}
    unpacked, capable = tree.get("unpacked"), tree.get("capable")
    if type(unpacked) is not int or not isinstance(capable, list):
        return None
    return LayerFacts(unpacked, tuple(str(path) for path in capable))


def image_bytes(images: Iterable[Image], facts: dict[str, LayerFacts]) -> int:
    """Bytes that *images* take at a provider, packed and unpacked: what is admitted and billed."""
    return stored_bytes(
        SizedImage(
            {blob.digest: blob.size for blob in image.blobs},
            tuple((layer.digest, facts[layer.digest].unpacked) for layer in image.layers),
        )
        for image in images
    )


def check_start(
    image: Image,
    facts: dict[str, LayerFacts],
    command: Sequence[str],
    args: Sequence[str],
    where: str,
    user: int | None = None,
) -> None:
    """`BadInput` naming *where*, unless a node starts the image with what its container says."""
    try:
        check_runnable(image.config, command, args, user)
    except BadInput as error:
        raise BadInput(error.what, where=where, hint=error.hint) from None
    capable = capable_files(image, facts)
    if not capable:
        return
    line = program_line(image.config, command, args)
    if program := capable_program(image.config, line, capable, links_of(image)):
        raise BadInput(
            f"the image's program /{program} has file capabilities (setcap), and pods have none: "
            "it would end with 'operation not permitted'",
            where=where,
            hint=f"take them away in the image (`RUN setcap -r /{program}`), and listen above port 1024",
        )


def links_of(image: Image) -> Links:
    """The links of the whole image: seldom asked, so its layers are read once more."""
    links = Links()
    for layer in image.layers:
        layer.verify(LayerReader(LAYER_TYPES[layer.media_type], links=links).feed)
    return links


def capable_files(image: Image, facts: dict[str, LayerFacts]) -> list[str]:
    """Programs of the whole image that start only with capabilities: those that no later layer replaced."""
    found: dict[str, None] = {}
    for place, layer in enumerate(image.layers):
        for path in facts[layer.digest].capable:
            if not _replaced(path, image.layers[place + 1 :], facts):
                found[path] = None
    return list(found)


def _replaced(path: str, later: Sequence[Blob], facts: dict[str, LayerFacts]) -> bool:
    """Whether a later layer has the file anew: seldom asked, so those layers are read once more."""
    for layer in {one.digest: one for one in later}.values():
        reader = LayerReader(LAYER_TYPES[layer.media_type], watch=path)
        layer.verify(reader.feed)
        if reader.finish().watched and path not in facts[layer.digest].capable:
            return True
    return False
