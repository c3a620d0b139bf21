# SPDX-License-Identifier: Apache-2.0
"""What fails after the money was paid in: it comes back, with Kubernetes' own words for why."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live.clients import web
from tests.live.clients.publisher import Json, Publisher, Said, finish
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import remains
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.protocol.errors import ExitCode
from trustedpods.protocol.ids import ChannelId, host_label

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("slow_download")]

BLOCK_TIME_S = 1


@pytest.fixture
def newcomer(market: LiveLocalnet, tmp_path: Path) -> Publisher:
    """Somebody who has paid nobody yet."""
    return Publisher(market, Bank(market).new_account(tmp_path), tmp_path)


def running(command: list[str]) -> Any:
    def change(spec: Json) -> None:
        spec["containers"][0]["command"] = command

    return change


def check_the_end(market: LiveLocalnet, person: Publisher, said: Said, had: int) -> None:
    """The money is back, the balance says so, and nothing is left of the pod."""
    result = said.json
    assert result["error"]["exit"] == said.code
    assert result["money"]["state"] == "released"
    [channel] = person.run("balance").json["channels"]
    assert (channel["channel"], channel["state"]) == (result["channel"], "closed")
    assert channel["refund"] == channel["deposit"] == result["money"]["refund"]
    assert Bank(market).balance(person.address) == had  # a pod that never served costs nothing
    label = host_label(ChannelId(int(result["channel"], 16)))
    until("nothing is left", lambda: not remains(market, label))
    assert web.get(f"http://{label}.{market.cluster().domain}:{market.facade()[1]}/").status == 404


@pytest.mark.parametrize(
    ("command", "words"),
    [
        pytest.param(
            ["no-such-thing"],
            ['exec: "no-such-thing": executable file not found in $PATH'],
            id="bad image",
        ),
        pytest.param(
            ["sh", "-c", "echo out of cheese; exit 7"],
            ["exit code 7", "out of cheese"],
            id="crash at start",
        ),
        pytest.param(
            ["httpd", "-f", "-p", "9999"],
            ["connection refused or broken", "(its programs listen on port 9999)"],
            id="it listens elsewhere",
            marks=pytest.mark.soak,  # all of the minute that a start may take
        ),
    ],
)
def test_a_pod_that_does_not_start(
    market: LiveLocalnet, newcomer: Publisher, command: list[str], words: list[str]
) -> None:
    had = Bank(market).balance(newcomer.address)
    file = newcomer.manifest("hello", unique("broken"), running(command))
    said = newcomer.run("deploy", file.name, code=ExitCode.REFUSED)
    for word in words:
        assert word in said.err
        assert word in said.json["error"]["what"]
    check_the_end(market, newcomer, said, had)


@contextmanager
def no_blocks(bank: Bank) -> Iterator[None]:
    """The chain stands still during the block."""
    bank.rpc("evm_setIntervalMining", 0)
    try:
        yield
    finally:
        bank.rpc("evm_setIntervalMining", BLOCK_TIME_S)


@pytest.fixture
def schedulable(market: LiveLocalnet) -> Iterator[str]:
    """The node's name; it takes pods again afterwards."""
    node = market.kubectl("get", "nodes", "-o", "name").strip()
    yield node
    market.kubectl("uncordon", node)


def test_a_pod_for_which_there_is_no_room_any_more(
    market: LiveLocalnet, newcomer: Publisher, schedulable: str
) -> None:
    """The node stops taking pods between admission and scheduling, while the channel is being mined."""
    bank = Bank(market)
    had = bank.balance(newcomer.address)
    file = newcomer.manifest("hello", unique("homeless"))
    with no_blocks(bank):
        process = newcomer.start("deploy", file.name, "-o", "json")
        first = read_until(process, "waiting for the payment channel")
        market.kubectl("cordon", schedulable)
    said = finish(process, ExitCode.REFUSED)
    assert "Unschedulable" in said.json["error"]["what"]
    assert "0/1 nodes are available: 1 node(s) were unschedulable" in first + said.err
    check_the_end(market, newcomer, said, had)


def read_until(process: "subprocess.Popen[str]", words: str) -> str:
    """Read the command's progress up to the line that has *words*."""
    assert process.stderr is not None
    read = ""
    while words not in read:
        line = process.stderr.readline()
        assert line, read
        read += line
    return read


def test_a_pod_that_is_too_large_is_refused_before_any_payment(
    market: LiveLocalnet, newcomer: Publisher
) -> None:
    bank = Bank(market)
    had = bank.balance(newcomer.address)

    def huge(spec: Json) -> None:
        spec["containers"][0]["resources"]["limits"]["cpu"] = "200"

    file = newcomer.manifest("hello", unique("huge"), huge)
    said = newcomer.run("deploy", file.name, "--deposit", "1", code=ExitCode.REFUSED)
    [offer] = newcomer.run("provider", "list").json["providers"]
    inspected = newcomer.run("provider", "inspect", offer["name"]).json
    largest = inspected["capabilities"]["largest_node"]["cpu_milli"]
    assert f"200000m wanted by one replica, the largest node has {largest}m" in said.err
    assert said.json["error"]["rule"] == "capability"
    assert "money" not in said.json
    assert newcomer.run("balance").json["channels"] == []
    assert (bank.balance(newcomer.address), bank.transactions_of(newcomer.address)) == (had, 0)
