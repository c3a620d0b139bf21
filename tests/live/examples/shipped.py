# SPDX-License-Identifier: Apache-2.0
"""A shipped example as a person has it: its folder beside its images, and what its script makes."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.live.clients.publisher import COMMANDS, Deployed, Publisher
from tests.paths import EXAMPLES, IMAGES
from trustedpods.localnet.cluster import binaries

BUILD_LIMIT_S = 1800
"""The images are built once, on two cores from nothing in minutes; afterwards this is a second."""

STEP_LIMIT_S = 300


def ship(publisher: Publisher, example: str, images: tuple[str, ...]) -> Path:
    """The folder, with *images* built."""
    build = [sys.executable, str(IMAGES / "build.py"), *images, "--out", str(binaries.cache() / "images")]
    subprocess.run(build, check=True, capture_output=True, timeout=BUILD_LIMIT_S)
    for file in (EXAMPLES / example).iterdir():
        if file.is_file():
            shutil.copy(file, publisher.folder)
    for image in images:
        shutil.copy(binaries.image(image), publisher.folder)
    return publisher.folder


def script(publisher: Publisher, name: str, *words: str) -> None:
    """Run the example's own script where the client's command is found; it must succeed."""
    environment = {
        "PATH": f"{COMMANDS}:{os.environ['PATH']}",
        "HOME": str(publisher.folder / "home"),
        "TRUSTEDPODS_MARKET": str(publisher.market.market_file),
        "TRUSTEDPODS_KEY": str(publisher.key),
    }
    argv = [sys.executable, str(publisher.folder / name), *words]
    done = subprocess.run(
        argv, env=environment, check=False, capture_output=True, text=True, timeout=STEP_LIMIT_S
    )
    assert done.returncode == 0, f"{name} {words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"


def deploy_all(publisher: Publisher, *names: str) -> dict[str, Deployed]:
    """Pods whose manifests lie in the publisher's folder, brought up at once."""
    with ThreadPoolExecutor(len(names)) as pool:
        done = pool.map(lambda name: publisher.deploy(publisher.folder / f"{name}.yaml"), names)
        return dict(zip(names, done, strict=True))
