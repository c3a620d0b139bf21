# SPDX-License-Identifier: Apache-2.0
"""What tests of all rooms share: one localnet per session, made when the first test asks for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.examples import examples

if TYPE_CHECKING:
    from tests.live.localnet_fixture import LiveLocalnet


# How long an example takes says more about the machine than about the code.
settings.register_profile("unhurried", parent=settings(), deadline=None, max_examples=examples(100))
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def market(request: pytest.FixtureRequest) -> Iterator["LiveLocalnet"]:
    """A running market with one cluster and fast settings. Leave it as you found it."""
    from tests.live import localnet_fixture

    localnet_fixture.sweep()
    with localnet_fixture.localnet() as running:
        yield running
        if request.session.testsfailed:
            localnet_fixture.print_logs(running.state)


@pytest.fixture(scope="session")
def kubeconfig(market: "LiveLocalnet") -> Path:
    """Kubeconfig of the administrator of the market's cluster."""
    return market.kubeconfig()
