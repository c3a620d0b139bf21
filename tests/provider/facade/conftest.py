# SPDX-License-Identifier: Apache-2.0
"""The facade on real HAProxy."""

from pathlib import Path

import pytest

from tests.provider.facade.parts import live_facade


@pytest.fixture
async def live(tmp_path: Path):
    async with live_facade(tmp_path) as facade:
        yield facade
