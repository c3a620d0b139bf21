# SPDX-License-Identifier: Apache-2.0
"""Market files: found in the right order, read strictly."""

from pathlib import Path

import pytest

from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.publisher.context import load_market, read_market

MARKET = """
rpc = "http://10.150.0.1:8545"
chain_id = 31337
payments = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
registry = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"
token = "0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0"
finality_blocks = 1
"""
SIMULATED = '[simulated]\nroot = """-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"""\n'


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_reads_a_market(tmp_path):
    market = read_market(write(tmp_path / "m.toml", MARKET + SIMULATED))
    assert (market.rpc, market.chain_id, market.finality_blocks) == ("http://10.150.0.1:8545", 31337, 1)
    assert market.payments == "0x5FbDB2315678afecb367f032d93F642f64180aa3"
    assert market.simulated_root is not None
    assert market.simulated_root.startswith("-----BEGIN CERTIFICATE-----")


def test_a_real_market_has_no_simulated_root(tmp_path):
    assert read_market(write(tmp_path / "m.toml", MARKET)).simulated_root is None


def test_flag_beats_environment_beats_config_folder(tmp_path):
    def chain(name: str, number: int) -> Path:
        return write(tmp_path / name, MARKET.replace("31337", str(number)))

    flag, named = chain("flag.toml", 1), chain("env.toml", 2)
    chain("home/.config/trustedpods/market.toml", 3)
    home = {"HOME": str(tmp_path / "home")}
    env = home | {"TRUSTEDPODS_MARKET": str(named)}
    assert load_market(str(flag), env).chain_id == 1
    assert load_market(None, env).chain_id == 2
    assert load_market(None, home).chain_id == 3


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(NoContext) as caught:
        load_market(None, {"HOME": str(tmp_path)})
    assert "--market" in caught.value.what
    assert "$TRUSTEDPODS_MARKET" in caught.value.what
    assert str(tmp_path) in caught.value.what
    assert caught.value.hint


@pytest.mark.parametrize("env", [{}, {"TRUSTEDPODS_MARKET": "/nowhere.toml"}])
def test_a_named_file_that_is_not_there_is_not_replaced_by_another(tmp_path, env):
    write(tmp_path / ".config/trustedpods/market.toml", MARKET)
    env = env | {"HOME": str(tmp_path)}
    with pytest.raises(NoContext, match="nowhere"):
        load_market(None if env.get("TRUSTEDPODS_MARKET") else "/nowhere.toml", env)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("chain_id = 31337", "chain_id = '31337'"), "chain_id must be of type int"),
        (("chain_id = 31337", "chain_id = true"), "chain_id must be of type int"),
        (("chain_id = 31337", "chain_id = 0"), "chain_id must be from 1"),
        (("chain_id = 31337", ""), "'chain_id' is missing"),
        (("finality_blocks = 1", "finality_blocks = -1"), "finality_blocks"),
        (("finality_blocks = 1", "finality_blocks = 1\nextra = 1"), "unknown field 'extra'"),
        (("chain_id = 31337", "chain_id = " + "9" * 5000), "not valid TOML"),
        (("chain_id = 31337", "chain_id = 0x" + "f" * 5000), "chain_id must be from 1"),
        (("http://", "ftp://"), "rpc is not"),
        (("http://", "http://["), "rpc is not"),
        (("http://", "http://a:99999/"), "rpc is not"),
        (("http://", "http://\\u001b[2J"), "rpc is not"),
        (("0x5FbDB2", "0x5fbDB2"), "payments: wrong checksum"),
        (("0x5FbDB2", "0x5FbD"), "payments: an address has 20 bytes"),
        (("rpc =", "rpc = ="), "not valid TOML"),
        (("finality_blocks = 1", "finality_blocks = 1\n[simulated]\nroot = 5"), "simulated"),
        (("finality_blocks = 1", "finality_blocks = 1\n[simulated]\nroot = 'x'"), "PEM"),
        (("finality_blocks = 1", "finality_blocks = 1\n#" + "x" * 70_000), "larger than"),
    ],
)
def test_strict(tmp_path, change, message):
    path = write(tmp_path / "m.toml", MARKET.replace(*change))
    with pytest.raises(BadInput, match=message) as caught:
        read_market(path)
    assert caught.value.where == str(path)
