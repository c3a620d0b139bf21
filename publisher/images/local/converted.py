# SPDX-License-Identifier: Apache-2.0
"""An archive of an older `docker save` as an OCI layout, made once for each content by skopeo."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.whole_file import private_folder
from trustedpods.publisher.images.index import read_image
from trustedpods.publisher.images.layout import DirectoryLayout, TarLayout
from trustedpods.publisher.images.local.docker_archive import images_of
from trustedpods.publisher.images.local.running import run_program
from trustedpods.publisher.images.names import choose
from trustedpods.publisher.images.oci import Image
from trustedpods.publisher.images.opening import ImageTold

SKOPEO_TIMEOUT_S = 600
"""Converting compresses: some 30 MB/s, so this is an image of 18 GB."""


def read_docker_archive(path: Path, name: str | None, cache: Path, told: ImageTold) -> Image:
    """The image that *name* says in what `docker save` wrote to *path*, of an older or a newer Docker."""
    layout = TarLayout(path)
    if layout.find("oci-layout") is not None:
        return read_image(layout, name)
    images = images_of(layout)
    try:
        place = choose(images, name)
    except BadInput as error:
        raise BadInput(error.what, where=str(path), hint=error.hint) from None
    return read_image(DirectoryLayout(_converted(path, place, cache, told)))


def _converted(path: Path, place: int, cache: Path, told: ImageTold) -> Path:
    """The image at *place* of a docker-archive as an OCI layout."""
    stat = path.stat()
    identity = f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\0{place}"
    target = cache / "converted" / hashlib.sha256(identity.encode()).hexdigest()[:32]
    if target.is_dir():
        return target
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        raise BadInput(
            "skopeo is needed to read a docker-archive", where=str(path), hint="apt install skopeo"
        )
    private_folder(target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        layout = Path(scratch) / "layout"
        copy = ("--insecure-policy", "copy", "--quiet", f"docker-archive:{path}:@{place}", f"oci:{layout}")
        try:
            run_program((skopeo, *copy), SKOPEO_TIMEOUT_S, told)
        except BadInput as error:
            raise BadInput(error.what, where=str(path)) from None
        try:
            os.rename(layout, target)
        except OSError:
            if not target.is_dir():  # else another run was faster with the same content
                raise
    return target
