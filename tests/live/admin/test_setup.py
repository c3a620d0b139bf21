# SPDX-License-Identifier: Apache-2.0
"""`trustedpods-provider setup` on a node with a running daemon: what it prints goes to the chain as it is."""

import json
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from eth_account import Account

from tests.live.clients.publisher import COMMANDS
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.observers.waiting import until
from trustedpods.contracts.client import Chain
from trustedpods.localnet.market import accounts
from trustedpods.localnet.market.provider import config_file
from trustedpods.localnet.network import enter
from trustedpods.protocol.errors import ExitCode
from trustedpods.protocol.ids import Address
from trustedpods.provider.config import ProviderConfig, load_config
from trustedpods.provider.setup.owner.transactions import registering

pytestmark = pytest.mark.live


@pytest.fixture
def own() -> Iterator[LiveLocalnet]:
    """A market whose provider becomes another one: nobody else's."""
    with localnet() as running:
        yield running


def setup(market: LiveLocalnet, folder: Path, code: int, *words: str) -> dict[str, Any]:
    """One run on the node, into a folder of its own."""
    argv = [*enter(market.cluster().namespace), str(COMMANDS / "trustedpods-provider"), "setup"]
    argv += ["-c", str(folder / "provider.toml"), "--user", "root", "--yes", "-o", "json", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def sign_and_send(rpc: str, key: bytes, transaction: dict[str, Any]) -> None:
    """Any wallet, which knows nothing of our contracts: it takes chain, to, value and data as they are."""
    sender = Account.from_key(key)

    def ask(method: str, *params: object) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = httpx.post(rpc, json=body, trust_env=False).json()
        assert "result" in answer, answer
        return answer["result"]

    bare = {
        "chainId": transaction["chainId"],
        "to": transaction["to"],
        "value": int(transaction["value"], 16),
        "data": transaction["data"],
        "nonce": int(ask("eth_getTransactionCount", sender.address, "pending"), 16),
        "gas": 500_000,
        "gasPrice": 2 * int(ask("eth_gasPrice"), 16),
    }
    sent = ask("eth_sendRawTransaction", "0x" + sender.sign_transaction(bare).raw_transaction.hex())
    receipt = until("it is mined", lambda: ask("eth_getTransactionReceipt", sent))
    assert receipt["status"] == "0x1"


def copy_settings(market: LiveLocalnet, folder: Path) -> ProviderConfig:
    """The settings with which the daemon runs, in *folder*, with the key of an operator whom nobody knows."""
    file = config_file(market.cluster())
    running = load_config(file)
    text, known = file.read_text(), running.identity.operator_key_file
    assert text.count(known) == 1
    (folder / "provider.toml").write_text(text.replace(known, str(folder / "operator.key")))
    return running


async def rename_place(running: ProviderConfig, region: str) -> dict[str, Any]:
    """What the owner would sign for a row that says another place than the daemon."""
    owner, market = Address(running.identity.owner), running.market.market
    async with Chain(running.market.rpc, market) as chain:
        row = await chain.provider(owner, running.identity.daemon)
    assert row is not None
    return registering(market, replace(row, region=region)).plain()


def test_what_it_prints_is_signed_elsewhere_and_then_nothing_is_left(
    own: LiveLocalnet, tmp_path: Path
) -> None:
    market, cluster = own, own.cluster()
    running = copy_settings(market, tmp_path)
    owner = accounts.read_key(accounts.owner_key(cluster))
    sign_and_send(running.market.rpc, owner, trio.run(rename_place, running, "elsewhere"))
    first = setup(market, tmp_path, ExitCode.NO_CONTEXT, "--public-address", cluster.node_ip)
    assert first["toDo"] == []
    left = first["transactions"]
    assert [one["to"] for one in left[1:]] == [
        running.market.registry, running.market.payments, first["operator"],
    ]  # fmt: skip
    assert left[0]["to"] == running.market.registry
    assert set(first["files"].values()) == {"written", "replaced"}
    assert "region" not in tomllib.loads((tmp_path / "provider.toml").read_text())["market"]

    for one in left:
        sign_and_send(running.market.rpc, owner, one)
    again = setup(market, tmp_path, ExitCode.DONE)
    assert (again["transactions"], again["toDo"]) == ([], [])
    assert set(again["files"].values()) == {"unchanged", "removed"}

    dearer = setup(market, tmp_path, ExitCode.NO_CONTEXT, "--core-hour", "2.5", "--region", "moon")
    assert dearer["transactions"] == []
    (line,) = dearer["toDo"]
    assert "restart the daemon first" in line
    assert "(region, prices)" in line
