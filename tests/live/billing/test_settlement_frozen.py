# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""A daemon that stood still while another one took its books over goes on: nothing is sent twice."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import trio

from tests.contracts.node.anvil import running_anvil
from tests.live.billing.test_settlement_kills import OPERATOR, checked, prepare, run
from trustedpods.contracts.eip712 import address_of
from trustedpods.provider.store.engines.postgres import parse

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

WRITTEN_DOWN = "store.write.save_unfinished"
STOPS_WITHIN_S = 60


@pytest.fixture(scope="module")
def market(tmp_path_factory, postgres):
    with running_anvil("--block-time", "1") as anvil, postgres.database() as url:
        folder = tmp_path_factory.mktemp("frozen") / "before"
        yield trio.run(prepare, anvil, folder, url)


@contextmanager
def a_case(market, postgres, name):
    """Books, keys and chain as before any claim."""
    with postgres.database(parse(market.told.database).database) as url:
        yield replace(market.fresh(name), database=url)


def sent(market):
    """How many transactions of the operator's are in blocks."""
    return int(market.anvil.rpc("eth_getTransactionCount", address_of(OPERATOR), "latest"), 16)


@pytest.fixture(scope="module")
def undisturbed(market, postgres):
    """The points of one process that is left alone, and what it sent."""
    with a_case(market, postgres, "recorded") as told:
        before = sent(market)
        names = run(told)
        checked(market, told)
        return names, sent(market) - before


@contextmanager
def stopped(told):
    """A process that stands still at its point."""
    file = Path(told.folder) / "frozen.json"
    file.write_text(json.dumps(asdict(told)))
    argv = [sys.executable, "-m", "tests.live.clients.settlement_process", str(file)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + STOPS_WITHIN_S
        while not os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED | os.WNOHANG)[1]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process
    finally:
        process.kill()


@pytest.mark.parametrize("point", [f"{WRITTEN_DOWN} entered", f"{WRITTEN_DOWN} left"])
def test_what_a_frozen_daemon_goes_on_with_is_not_sent_again(market, undisturbed, postgres, point):
    """Before it wrote the transaction down it cannot any more; after it, both have the same bytes."""
    names, usual = undisturbed
    with a_case(market, postgres, f"frozen-{names.index(point)}") as told:
        before = sent(market)
        with stopped(replace(told, stop_at=names.index(point), frozen=True)) as process:
            run(told)
            process.send_signal(signal.SIGCONT)
            _, error = process.communicate(timeout=60)
            assert process.returncode == 1
            assert "took the books over" in error
        checked(market, told)
        assert sent(market) - before == usual
