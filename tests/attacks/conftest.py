# SPDX-License-Identifier: Apache-2.0
"""What the attacks are made on."""

import pytest

from tests.attacks.victim import victim_in
from tests.fakes.provider.world import World


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    """A daemon in a process of its own; it outlives every attack of a module."""
    with victim_in(tmp_path_factory.mktemp("victim")) as made:
        yield made


@pytest.fixture
def world(tmp_path):
    """Everything around a daemon in this process."""
    return World(tmp_path)
