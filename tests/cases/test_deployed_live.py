# SPDX-License-Identifier: Apache-2.0
"""What `validate` takes runs, with what its manifest or image asked for; a dozen here, all in the soak."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.cases.deploying import Deploys
from tests.cases.pods import DEPLOYED
from tests.live.localnet_fixture import LiveLocalnet

pytestmark = pytest.mark.live

TWELVE = (
    "archive: docker save with provenance",
    "archive: docker save of two, by name",
    "archive: zstd",
    "pod: a program of no folder",
    "archive: user by name",
    "manifest: reference",
    "manifest: as shut as ours",
    "manifest: question",
    "manifest: cpu 1500m",
    "manifest: scratch without braces",
    "pod: a port below 1024 alone",
    "pod: eight images",
)
"""By trait: how an archive is packed and named, who runs, what the kubelet is told, sizes, volumes, ports."""

SLICE = 10
"""Of the soak: a test of some minutes, also where the machine is busy."""

SLICES = [list(DEPLOYED)[at : at + SLICE] for at in range(0, len(DEPLOYED), SLICE)]


def test_twelve_of_them(market: LiveLocalnet, tmp_path: Path) -> None:
    check(market, tmp_path, TWELVE)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(len(SLICES)))
def test_all_of_them(market: LiveLocalnet, tmp_path: Path, part: int) -> None:
    check(market, tmp_path, SLICES[part])


def check(market: LiveLocalnet, folder: Path, names: Iterable[str]) -> None:
    faults = Deploys(market, folder).faults([(name, DEPLOYED[name]) for name in names])
    if faults:
        pytest.fail("\n\n".join(f"{name}: {what}" for name, what in faults.items()), pytrace=False)
