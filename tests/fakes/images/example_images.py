# SPDX-License-Identifier: Apache-2.0
"""The image builder of deploy/images, which is a script and no package."""

import sys

from tests.paths import IMAGES

FOLDER = IMAGES

sys.path.append(str(FOLDER))
try:
    import oci
    import recipes

    import build
finally:
    sys.path.remove(str(FOLDER))

__all__ = ["FOLDER", "build", "oci", "recipes"]
