# SPDX-License-Identifier: Apache-2.0
"""Programs of the mpc image, which are no package; MPyC itself is in the image alone."""

import sys

from tests.paths import IMAGES

FOLDER = IMAGES / "mpc"

sys.path.append(str(FOLDER))
try:
    import connections
    import http_server
    import recognition
finally:
    sys.path.remove(str(FOLDER))

__all__ = ["connections", "http_server", "recognition"]
