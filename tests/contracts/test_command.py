# SPDX-License-Identifier: Apache-2.0
"""`python -m trustedpods.contracts` and the compiler behind the committed files."""

import json
from dataclasses import replace

import pytest
import trio
from click.testing import CliRunner

from tests.contracts.anvil import FUNDED_KEY
from tests.contracts.test_rows import ROW
from trustedpods.contracts.__main__ import main
from trustedpods.contracts.client import Chain
from trustedpods.contracts.compile import CONTRACTS, ROOM, compile_contracts
from trustedpods.contracts.records import Market
from trustedpods.contracts.typed import address_of


@pytest.fixture
def deployed(anvil, tmp_path):
    key, market = tmp_path / "key", tmp_path / "market.json"
    key.write_text("0x" + FUNDED_KEY.hex())
    done = CliRunner().invoke(main, ["deploy", "--rpc", anvil.url, "--key", str(key)])
    assert done.exit_code == 0, done.output
    market.write_text(done.output)
    return market


@pytest.mark.live
def test_deploy_verify_inspect(anvil, deployed):
    run = CliRunner().invoke
    place = ["--rpc", anvil.url, "--market", str(deployed)]
    verified = run(main, ["verify", *place])
    owner = address_of(FUNDED_KEY)

    async def register():
        async with Chain(anvil.url, Market(**json.loads(deployed.read_text()))) as chain:
            await chain.register(FUNDED_KEY, replace(ROW, owner=owner))

    trio.run(register)
    rows = json.loads(run(main, ["inspect", *place]).output)
    account = json.loads(run(main, ["inspect", *place, owner, "2a"]).output)
    assert (verified.exit_code, rows[0]["owner"]) == (0, owner)
    assert account == {"owed": 0, "payout": owner, "channels": [None]}


@pytest.mark.live
def test_verify_tells_other_code(anvil, deployed):
    market = json.loads(deployed.read_text())
    market["registry"] = market["token"]
    deployed.write_text(json.dumps(market))
    done = CliRunner().invoke(main, ["verify", "--rpc", anvil.url, "--market", str(deployed)])
    assert (done.exit_code, "PodRegistry" in done.output) == (3, True)


def test_a_node_that_is_not_there_is_exit_code_8(tmp_path):
    market = tmp_path / "market.json"
    market.write_text(
        json.dumps({"chain_id": 1, **dict.fromkeys(["payments", "registry", "token"], "0x" + "1" * 40)})
    )
    done = CliRunner().invoke(main, ["verify", "--rpc", "http://127.0.0.1:1", "--market", str(market)])
    assert (done.exit_code, "does not answer" in done.output) == (8, True)


@pytest.mark.parametrize("text", ["", "[]", '{"chain_id": 1}'])
def test_files_that_are_no_market_are_bad_input(tmp_path, text):
    (tmp_path / "market.json").write_text(text)
    done = CliRunner().invoke(main, ["verify", "--market", str(tmp_path / "market.json")])
    assert (done.exit_code, "is not a market" in done.output) == (2, True)


@pytest.mark.live
def test_the_committed_bytecode_is_that_of_the_sources():
    for name, text in compile_contracts().items():
        assert (ROOM / "abi" / name).read_text() == text, name
    assert len(CONTRACTS) == len(list((ROOM / "abi").glob("*.json")))
