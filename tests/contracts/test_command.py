# SPDX-License-Identifier: Apache-2.0
"""`python -m trustedpods.contracts` and the compiler behind the committed files."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import trio
from click.testing import CliRunner

from tests.contracts.node.anvil import FUNDED_KEY
from tests.contracts.test_registry_rows import ROW
from tests.fakes.chain.chain import FakeChain
from trustedpods.contracts import inspect
from trustedpods.contracts.__main__ import main
from trustedpods.contracts.client import Chain
from trustedpods.contracts.compile import CONTRACTS, ROOM, compile_contracts
from trustedpods.contracts.eip712 import address_of
from trustedpods.contracts.market_file import read_market
from trustedpods.protocol.ids import PodRef, channel_hex


@pytest.fixture
def deployed(anvil, tmp_path):
    key, market = tmp_path / "key", tmp_path / "market.json"
    key.write_text("0x" + FUNDED_KEY.hex())
    arguments = ["deploy", "--rpc", anvil.url, "--key", str(key), "--symbol", "TEST", "-o", "json"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    market.write_text(done.output)
    return market


def told(*arguments):
    """What a verb prints as JSON."""
    done = CliRunner().invoke(main, [*arguments, "-o", "json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


@pytest.mark.live
def test_deploy_verify_inspect(deployed, terms):
    """By the file alone: it names its node."""
    place = ["--market", str(deployed)]
    verified = CliRunner().invoke(main, ["verify", *place])
    owner, publisher, meter = address_of(FUNDED_KEY), address_of(FUNDED_KEY), address_of(b"\7" * 32)
    ref = PodRef(owner, publisher, b"s" * 32)
    id_ = channel_hex(ref.channel)

    async def use():
        market, rpc = read_market(deployed)
        async with Chain(rpc, market) as chain:
            await chain.register(FUNDED_KEY, replace(ROW, owner=owner))
            await chain.mint(FUNDED_KEY, publisher, 2_500_000)
            await chain.open_with_permit(FUNDED_KEY, ref, meter, terms, 1_500_000)

    trio.run(use)
    assert (verified.exit_code, "packaged" in verified.output) == (0, True)
    assert told("verify", *place) == {"not_this_source": []}
    market = told("inspect", "market", *place)
    assert (market["token_symbol"], market["providers"], market["not_this_source"]) == ("TEST", 1, [])
    (row,) = told("inspect", "providers", *place)
    assert (row["owner"], row["endpoint"], row["tee"]) == (owner, ROW.endpoint, ROW.tee)
    account = told("inspect", "account", *place, owner)
    assert (account["balance"], account["balance_tokens"], account["payout"]) == (1_000_000, "1", owner)
    channel = told("inspect", "channel", *place, owner, id_)
    assert (channel["open"], channel["left_tokens"], channel["deposited"]) == (True, "1.5", 1_500_000)
    (listed,) = told("inspect", "channels", *place, "--publisher", publisher)
    assert (listed["id"], listed["owner"]) == (id_, owner)
    text = CliRunner().invoke(main, ["inspect", "channel", *place, owner, "2a"]).output
    assert text.splitlines()[-1].split() == ["open", "no"]


async def no_code(_rpc, _market):
    return ["PodRegistry"]


@pytest.fixture
def fake(monkeypatch):
    """A chain in memory in the place of a node."""
    chain = FakeChain()
    monkeypatch.setattr(inspect, "Chain", lambda _rpc, _market: chain)
    monkeypatch.setattr(inspect, "unlike_source", no_code)
    return chain


@pytest.fixture
def place(tmp_path):
    (tmp_path / "market.json").write_text(json.dumps(NOWHERE))
    return ["--market", str(tmp_path / "market.json")]


def test_a_market_and_its_rows_are_told_by_these_names(fake, place):
    fake.rows[ROW.owner, ROW.daemon] = ROW
    told_market = told("inspect", "market", *place)
    assert told_market == {
        "chain_id": 1,
        **{name: NOWHERE[name] for name in ("payments", "registry", "token")},
        "finality_blocks": 0,
        "token_symbol": "TPT",
        "token_decimals": fake.decimals,
        "block": fake.number,
        "block_time": fake.now,
        "providers": 1,
        "not_this_source": ["PodRegistry"],
    }
    (row,) = told("inspect", "providers", *place)
    assert row == {
        "owner": ROW.owner,
        "daemon": ROW.daemon,
        "updated_at": 0,
        "trust": "sealed",
        "region": "eu-west",
        "tee": ["sev-snp", "tdx"],
        "chip_digest": "0x" + b"c".hex() * 32,
        "token": ROW.token,
        "prices": ROW.prices.model_dump(),
        "least": ROW.least.model_dump(),
        "profile_digest": "0x" + b"p".hex() * 32,
        "endpoint": ROW.endpoint,
    }


def test_a_channel_is_told_by_these_names_while_it_lives_and_when_it_is_not_there(fake, place, terms):
    key, owner = b"\5" * 32, address_of(FUNDED_KEY)
    ref = PodRef(owner, address_of(key), b"s" * 32)
    fake.give(ref.publisher, 10**9)
    trio.run(fake.open_with_permit, key, ref, address_of(b"\7" * 32), terms, 10**8)
    id_ = channel_hex(ref.channel)
    channel = told("inspect", "channel", *place, owner, id_)
    assert (channel["owner"], channel["id"], channel["open"]) == (owner, id_, True)
    assert list(channel)[3:] == [
        "left",
        "left_tokens",
        "up_to",
        "unlock_at",
        "unlock_s",
        "cap_per_day",
        "meter_tag",
        "prices",
        "deposited",
        "opened_at",
    ]
    assert (channel["left"], channel["deposited"], channel["unlock_at"]) == (10**8, 10**8, None)
    assert channel["prices"] == terms.prices.model_dump()
    assert told("inspect", "channel", *place, owner, "2a") == {
        "owner": owner,
        "id": channel_hex(0x2A),
        "open": False,
    }


def test_help_has_examples_and_starts_at_once():
    """Whatever takes long to import is not imported for it."""
    script = (
        "import sys; from trustedpods.contracts.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'web3', 'trio', 'pydantic', 'eth_account', 'multiaddr'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Examples:" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "channel", "--market", "FILE", "nobody", "2a"],
        ["inspect", "channel", "--market", "FILE", "0x" + "1" * 40, "z"],
        ["inspect", "channel", "--market", "FILE", "0x" + "1" * 40, "1" * 49],
        ["inspect", "channels", "--market", "FILE"],
        ["deploy", "--key", "FILE"],
    ],
)
def test_what_is_written_wrong_is_exit_code_2(tmp_path, arguments):
    market = tmp_path / "market.json"
    market.write_text(json.dumps(NOWHERE))
    done = CliRunner().invoke(main, [str(market) if one == "FILE" else one for one in arguments])
    assert done.exit_code == 2, done.output


NOWHERE = {
    "chain_id": 1,
    "rpc": "http://127.0.0.1:1",
    **dict.fromkeys(["payments", "registry", "token"], "0x" + "1" * 40),
}


@pytest.mark.live
def test_verify_tells_other_code(anvil, deployed):
    market = json.loads(deployed.read_text())
    market["registry"] = market["token"]
    deployed.write_text(json.dumps(market))
    done = CliRunner().invoke(main, ["verify", "--rpc", anvil.url, "--market", str(deployed)])
    assert (done.exit_code, "PodRegistry" in done.output) == (3, True)


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_a_node_that_is_not_there_is_exit_code_8(tmp_path, suffix):
    market = tmp_path / f"market.{suffix}"
    toml = "\n".join(f"{name} = {json.dumps(value)}" for name, value in NOWHERE.items())
    market.write_text(json.dumps(NOWHERE) if suffix == "json" else toml)
    done = CliRunner().invoke(main, ["verify", "--market", str(market)])
    assert (done.exit_code, "does not answer" in done.output) == (8, True)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"chain_id": 1}', "chain_id = 1", "{" * 5000])
def test_files_that_are_no_market_are_bad_input(tmp_path, text):
    (tmp_path / "market.json").write_text(text)
    done = CliRunner().invoke(main, ["verify", "--market", str(tmp_path / "market.json")])
    assert (done.exit_code, "is not a market" in done.output) == (2, True)


def test_a_file_that_is_too_large_for_a_market_is_named_with_the_bound(tmp_path):
    market = tmp_path / "market.json"
    market.write_text(" " * 70_000)
    done = CliRunner().invoke(main, ["verify", "--market", str(market)])
    assert done.exit_code == 2
    assert f"{market}: cannot read the market's file: larger than 64 KiB" in done.output


@pytest.mark.live
def test_the_committed_bytecode_is_that_of_the_sources():
    for name, text in compile_contracts().items():
        assert (ROOM / "abi" / name).read_text() == text, name
    assert len(CONTRACTS) == len(list((ROOM / "abi").glob("*.json")))
