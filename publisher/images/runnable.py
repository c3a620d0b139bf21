# SPDX-License-Identifier: Apache-2.0
"""Would the cluster start this image? Asked before any money moves."""

from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.images.oci import Image


def check_user(image: Image, where: str) -> None:
    """Raise `BadInput` unless *image* runs as a numeric user other than 0.

    Pods run under Kubernetes' restricted security profile, which starts no process as root and
    cannot see who a user *name* is.
    """
    user = image.user.partition(":")[0]
    hint = (
        "set a numeric user in the image (`USER 10001` in its Dockerfile, or `buildah config --user 10001`)"
    )
    if user in ("", "root") or (user.isdecimal() and int(user) == 0):
        shown = f"as {image.user!r}" if image.user else "as root: it names no user"
        raise BadInput(
            f"the image runs {shown}, and providers start nothing as root",
            where=where,
            hint=hint,
        )
    if not (user.isascii() and user.isdecimal()):
        raise BadInput(
            f"the image's user {user!r} is a name, and providers cannot see that it is not root",
            where=where,
            hint=hint,
        )
