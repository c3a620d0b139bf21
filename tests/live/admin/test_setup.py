# SPDX-License-Identifier: Apache-2.0
"""`trustedpods-provider setup` on a node with a running daemon: what it prints goes to the chain as it is."""

import json
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account import Account

from tests.live.clients.publisher import COMMANDS
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.observers.waiting import until
from trustedpods.localnet.market import accounts
from trustedpods.localnet.market.provider import config_file
from trustedpods.localnet.network import enter
from trustedpods.protocol.errors import ExitCode
from trustedpods.provider.config import load_config

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


def test_what_it_prints_is_signed_elsewhere_and_then_nothing_is_left(
    own: LiveLocalnet, tmp_path: Path
) -> None:
    market, cluster = own, own.cluster()
    running = load_config(config_file(cluster))
    answers = tmp_path / "answers.toml"
    answers.write_text(
        f'domain = "{running.identity.domain}"\nmarket = "{market.market_file}"\n'
        f'owner = "{running.identity.owner}"\ntrust = "open"\nregion = "moon"\n'
        f'core_hour = "2.5"\ngib_hour = "0.5"\nkubeconfig = "{cluster.path("pki", "provider.conf")}"\n'
        f'data = "{Path(running.store.path).parent}"\npublic_address = "{cluster.node_ip}"\n'
    )
    first = setup(market, tmp_path, ExitCode.NO_CONTEXT, "--answers", str(answers))
    left = first["transactions"]
    assert [one["to"] for one in left[1:]] == [
        running.market.registry, running.market.payments, first["operator"],
    ]  # fmt: skip
    assert left[0]["to"] == running.market.registry
    assert set(first["files"].values()) == {"written"}
    assert "region" not in tomllib.loads((tmp_path / "provider.toml").read_text())["market"]

    owner = accounts.read_key(accounts.owner_key(cluster))
    for one in left:
        sign_and_send(running.market.rpc, owner, one)
    again = setup(market, tmp_path, ExitCode.DONE)
    assert (again["transactions"], again["toDo"]) == ([], [])
    assert set(again["files"].values()) == {"unchanged", "removed"}
