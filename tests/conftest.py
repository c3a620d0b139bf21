# SPDX-License-Identifier: Apache-2.0
"""What tests of all rooms share: one localnet per session, made when the first test asks for it."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.examples import examples

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.live.localnet_fixture import LiveLocalnet
    from tests.provider.store.engines.server import PostgresServer

# What is imported and collected lives to the end: looking through it for garbage, again and again, took
# a quarter of the collection's time. Tests make much that lives for a moment: it is looked through seldom.
gc.disable()
GC_EVERY = 10_000
"""New objects, instead of Python's 700."""


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(GC_EVERY)
    gc.enable()


# How long an example takes says more about the machine than about the code.
settings.register_profile("unhurried", parent=settings(), deadline=None, max_examples=examples(100))
settings.load_profile("unhurried")

LIVE_LIMIT_S = 600
"""After this a live test hangs. It is no measure: its first fixture may bring a whole market up, and machines
differ tenfold in how fast they are while three workers share them."""

SHARED = {
    "tests/deploy/debian/test_first_pod_live.py": "own localnets",
    "tests/deploy/debian/test_upgrade_live.py": "own localnets",
    "tests/deploy/helm/test_chart_live.py": "own localnets",
    "tests/live/admin/test_setup.py": "own localnets",
    "tests/live/billing/test_bill.py": "quiet markets",
    "tests/live/billing/test_funds.py": "quiet markets",
    "tests/live/commands/test_tutorial.py": "own localnets",
    "tests/live/examples/test_clique_votes.py": "own localnets",
    "tests/live/examples/test_outside_node.py": "own localnets",
    "tests/live/examples/test_cometbft.py": "own localnets",
    "tests/live/examples/test_mpc.py": "own localnets",
    "tests/live/examples/test_two_users.py": "own localnets",
    "tests/live/faults/test_clique_faults.py": "own localnets",
    "tests/live/faults/test_mpc_faults.py": "own localnets",
    "tests/live/faults/test_replace_lost.py": "own localnets",
    "tests/live/networks/test_clique.py": "own localnets",
    "tests/live/networks/test_identities.py": "own localnets",
    "tests/live/networks/test_leases.py": "own localnets",
    "tests/live/networks/test_one_cluster.py": "own localnets",
    "tests/live/networks/test_three_signers.py": "own localnets",
    "tests/live/networks/test_two_orgs.py": "own localnets",
    "tests/live/isolation/test_user_namespaces.py": "own localnets",
    "tests/live/nodes/test_isolation_of_nodes.py": "own localnets",
    "tests/live/nodes/test_other_facade.py": "own localnets",
    "tests/live/nodes/test_placement.py": "own localnets",
    "tests/live/pods/test_clusters.py": "own localnets",
    "tests/live/pods/test_demo.py": "own localnets",
    "tests/live/pods/test_reboot.py": "quiet markets",
    "tests/live/pods/test_failures.py": "slow download",
    "tests/live/serving/test_kernel_tcp.py": "own localnets",
    "tests/live/serving/test_scale.py": "slow download",
    "tests/live/tunnels/test_tunnel.py": "own localnets",
    "tests/localnet/test_existing_live.py": "own localnets",
    "tests/localnet/test_lifecycle_live.py": "own localnets",
    "tests/localnet/guest/test_plan_live.py": "own localnets",
}
"""Files that use one expensive fixture, by its name: they run on one worker, one after another.

So do files that bring up localnets of their own: beside the three workers' markets and the quiet one the
kernel's 128 inotify instances have room for two clusters more.
"""

LONG_FIRST = (
    "tests/chaos/test_chaos.py",
    "own localnets",
    "quiet markets",
    "tests/live/commands/test_databases.py",
    "tests/live/examples/test_clique.py",
    "tests/live/pods/test_outage.py",
    "slow download",
    "tests/live/billing/test_meter.py",
    "tests/live/pods/test_containers.py",
    "tests/live/pods/test_workloads.py",
    "tests/live/serving/test_nodes.py",
    "tests/live/isolation/test_names.py",
    "tests/live/pods/test_hanging.py",
    "tests/live/billing/test_settlement_kills.py",
    "tests/live/pods/test_kill.py",
    "tests/cases/test_deployed_live.py",
    "tests/live/admin/test_doctor.py",
    "tests/live/isolation/test_evidence.py",
    "tests/live/commands/test_exec.py",
    "tests/live/billing/test_settlement.py",
)
"""What takes over half a minute, the longest first: a worker that has nothing to do waits for the others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Limit every live test, and begin with the long ones."""
    for item in items:
        if item.get_closest_marker("live") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LIVE_LIMIT_S))
    items.sort(key=_turn)


def _group(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    return SHARED.get(file, file)


def _turn(item: pytest.Item) -> int:
    group = _group(item.nodeid)
    return LONG_FIRST.index(group) if group in LONG_FIRST else len(LONG_FIRST)


class FilesTogether(LoadFileScheduling):
    """Each file to one worker (`--dist loadfile`), and files that share something to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesTogether | None:
    """For xdist."""
    return FilesTogether(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> "MockClock":
    """Pauses take no time. Threads and sockets take what they take."""
    from tests.fakes.clock import patient_clock

    return patient_clock(monkeypatch)


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


@pytest.fixture(scope="session")
def postgres() -> Iterator["PostgresServer"]:
    """One PostgreSQL for all tests of a session; each takes databases of its own."""
    from tests.provider.store.engines.server import postgres_server

    with postgres_server() as server:
        yield server
