# SPDX-License-Identifier: Apache-2.0
"""`context fetch` of a market on a real chain: kept once its contracts are known. Needs anvil."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.contracts.node.anvil import FUNDED_KEY, running_anvil
from tests.publisher.market.test_published import giving, publishing
from trustedpods.contracts.__main__ import main as contracts
from trustedpods.protocol.errors import ExitCode
from trustedpods.publisher.cli import main as publisher
from trustedpods.publisher.contexts import load_contexts

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The file that the verb for contracts prints."""
    key = tmp_path_factory.mktemp("deployer") / "key"
    key.write_text(FUNDED_KEY.hex())
    key.chmod(0o600)
    with running_anvil() as node:
        made = CliRunner().invoke(contracts, ["deploy", "--rpc", node.url, "--key", str(key)])
        assert made.exit_code == ExitCode.DONE, made.output
        yield made.stdout


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def fetched(text: str, *flags: str) -> Result:
    with publishing(giving(text.encode())) as url:
        return CliRunner().invoke(publisher, ["context", "fetch", "play", url, *flags])


def test_a_market_is_used_by_its_address(market: str, home: dict[str, str]) -> None:
    done = fetched(market)
    assert done.exit_code == ExitCode.DONE, done.output
    assert "sha256" in done.stderr
    held = load_contexts(home).chosen
    assert held is not None
    assert Path(str(held.market)).read_text() == market
    assert CliRunner().invoke(publisher, ["provider", "list"]).exit_code == ExitCode.DONE
    swapped = fetched(market + "# another\n")
    assert swapped.exit_code == ExitCode.BAD_INPUT
    assert "another market than the one that is kept" in swapped.stderr
    assert Path(str(held.market)).read_text() == market


def test_the_key_that_is_named_is_kept_too(market: str, home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "my.key").touch()
    done = fetched(market, "--key", str(tmp_path / "my.key"))
    assert done.exit_code == ExitCode.DONE, done.output
    held = load_contexts(home).chosen
    assert held is not None
    assert held.key == str(tmp_path / "my.key")
    assert fetched(market, "--market", "a.toml").exit_code == ExitCode.BAD_INPUT


def test_a_market_of_other_contracts_is_not_kept(market: str, home: dict[str, str]) -> None:
    lines = dict(line.split(" = ") for line in market.splitlines())
    lines["payments"] = lines["registry"]
    done = fetched("\n".join(f"{name} = {value}" for name, value in lines.items()))
    assert done.exit_code == ExitCode.REFUSED
    assert "[market-code]" in done.stderr
    assert load_contexts(home).chosen is None
    assert not (Path(home["XDG_CONFIG_HOME"]) / "trustedpods" / "markets").exists()
