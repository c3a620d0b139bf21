# SPDX-License-Identifier: Apache-2.0
"""Measures what is to be booted, then becomes qemu: `python -m trustedpods.localnet.emulated.launch STATE`.

Each start measures anew, so a machine that is started again with other files signs as what it is then.
"""

import os
import sys
from pathlib import Path

from trustedpods.localnet import folders
from trustedpods.localnet.emulated import files
from trustedpods.protocol.errors import TrustedPodsError


def main(state: Path) -> None:
    """Does not return; exits with 1 and one line where the image cannot be measured."""
    settings = folders.read_settings(state)
    (cluster,) = settings.all_clusters()
    try:
        words = files.machine_words(settings, cluster)
    except TrustedPodsError as error:
        sys.exit(f"error: {error}")
    os.execvp(words[0], words)  # noqa: S606 - qemu, by the name that its words begin with


if __name__ == "__main__":
    main(Path(sys.argv[1]))
