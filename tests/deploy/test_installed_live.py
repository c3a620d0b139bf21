# SPDX-License-Identifier: Apache-2.0
"""The wheel in an environment of its own: a client without Kubernetes and database, then a provider."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.localnet_fixture import LiveLocalnet
from tests.paths import EXAMPLES, ROOT
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.market.provider import config_file
from trustedpods.protocol.errors import ExitCode

pytestmark = pytest.mark.live

LOCK = ROOT / "deploy" / "setup" / "requirements.txt"


class Environment:
    """A virtual environment that sees nothing of the checkout."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "env" / "bin"
        self.home = folder / "home"
        self.home.mkdir()
        subprocess.run([sys.executable, "-m", "venv", str(self.bin.parent)], check=True)

    def install(self, wheel: str) -> None:
        """From the package index, in the versions that the tests run with."""
        words = ["install", "--quiet", "--disable-pip-version-check", "--constraint", str(LOCK), wheel]
        subprocess.run([self.bin / "pip", *words], check=True)

    def packages(self) -> set[str]:
        words = ["list", "--disable-pip-version-check", "--format", "json"]
        listed = subprocess.run([self.bin / "pip", *words], check=True, capture_output=True)
        return {one["name"].lower() for one in json.loads(listed.stdout)}

    def run(self, *argv: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """A command of the wheel, from an empty home."""
        seen = {"PATH": os.environ["PATH"], "HOME": str(self.home), **environment}
        command = [str(self.bin / argv[0]), *argv[1:]]
        return subprocess.run(
            command, env=seen, cwd=self.home, capture_output=True, text=True, check=False, timeout=120
        )


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(tmp_path.glob("*.whl"))


def test_a_client_alone_and_a_provider_beside_it(market: LiveLocalnet, wheel: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    environment.install(str(wheel))
    assert environment.packages() & {"kubernetes", "sqlalchemy", "alembic"} == set()
    helped = environment.run("trustedpods", "--help")
    assert helped.returncode == 0, helped.stderr
    for file in (EXAMPLES / "echo.yaml", binaries.image("echo")):
        shutil.copy(file, tmp_path)
    checked = environment.run("trustedpods", "validate", str(tmp_path / "echo.yaml"))
    assert checked.returncode == 0, checked.stderr
    listed = environment.run(
        "trustedpods", "provider", "list", "-o", "json", TRUSTEDPODS_MARKET=str(market.market_file)
    )
    assert listed.returncode == 0, listed.stderr
    assert len(json.loads(listed.stdout)["providers"]) == 1
    environment.install(f"{wheel}[provider]")
    config = str(config_file(market.cluster()))
    served = environment.run("trustedpods-provider", "serve", "-c", config)
    assert served.returncode == ExitCode.LOCKED, served.stderr  # it got as far as the one who runs already
