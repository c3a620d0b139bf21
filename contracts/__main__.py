# SPDX-License-Identifier: Apache-2.0
"""`python -m trustedpods.contracts deploy | verify | inspect`: the contracts without the rest."""

import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import click
import trio

from trustedpods.contracts.deploy import deploy, unlike_source
from trustedpods.contracts.records import Market
from trustedpods.contracts.rows import RegistryRow
from trustedpods.protocol.errors import BadInput, ExitCode, TrustedPodsError
from trustedpods.protocol.ids import Address, ChannelId, parse_address

T = TypeVar("T")


def _run(function: Callable[[], Awaitable[T]]) -> T:
    try:
        return trio.run(function)
    except TrustedPodsError as error:
        click.echo(f"error: {error}", err=True)
        if error.hint:
            click.echo(f"  {error.hint}", err=True)
        sys.exit(error.exit_code)


def _key(path: str) -> bytes:
    try:
        return bytes.fromhex(Path(path).read_text().strip().removeprefix("0x"))
    except (OSError, ValueError):
        raise click.BadParameter(f"{path} does not hold a private key in hex") from None


def _market(path: str) -> Market:
    try:
        fields = json.loads(Path(path).read_text())
        return Market(
            chain_id=int(fields["chain_id"]),
            payments=parse_address(fields["payments"]),
            registry=parse_address(fields["registry"]),
            token=parse_address(fields["token"]),
            finality_blocks=int(fields.get("finality_blocks", 0)),
        )
    except (OSError, ValueError, KeyError, TypeError, BadInput) as error:
        raise click.BadParameter(f"{path} is not a market as `deploy` prints it: {error}") from None


def _print(value: object) -> None:
    click.echo(json.dumps(value, indent=2, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return value.model_dump() if hasattr(value, "model_dump") else str(value)


rpc_option = click.option("--rpc", default="http://127.0.0.1:8545", show_default=True, help="The chain node.")
market_option = click.option(
    "--market", "market_file", required=True, type=click.Path(), help="JSON as `deploy` printed it."
)


@click.group()
def main() -> None:
    """Deploy, verify and look into the contracts of a market."""


@main.command("deploy")
@rpc_option
@click.option("--key", "key_file", required=True, type=click.Path(), help="File with the deployer's key.")
@click.option("--decimals", default=6, show_default=True, type=click.IntRange(0, 18))
def deploy_command(rpc: str, key_file: str, decimals: int) -> None:
    """Deploy a test token, the payment contract for it and a registry; print the market."""
    key = _key(key_file)
    _print(asdict(_run(lambda: deploy(rpc, key, decimals))))


@main.command()
@rpc_option
@market_option
def verify(rpc: str, market_file: str) -> None:
    """Compare deployed code with the packaged bytecode; code 3 when it differs."""
    market = _market(market_file)
    differing = _run(lambda: unlike_source(rpc, market))
    if differing:
        click.echo(f"not this source: {', '.join(differing)}", err=True)
        sys.exit(ExitCode.COPIES_DIFFER)
    click.echo("all three contracts are the packaged ones")


@main.command()
@rpc_option
@market_option
@click.argument("owner", required=False)
@click.argument("channels", nargs=-1)
def inspect(rpc: str, market_file: str, owner: str | None, channels: tuple[str, ...]) -> None:
    """Print the registry's rows, or an OWNER's account and CHANNELS (ids in hex)."""
    market = _market(market_file)
    if owner is None:
        _print([asdict(row) for row in _run(lambda: _rows(rpc, market))])
    else:
        address, ids = parse_address(owner), [ChannelId(int(one, 16)) for one in channels]
        _print(_run(lambda: _account(rpc, market, address, ids)))


async def _rows(rpc: str, market: Market) -> list[RegistryRow]:
    from trustedpods.contracts.client import Chain  # noqa: PLC0415  loads web3

    async with Chain(rpc, market) as chain:
        return await chain.providers()


async def _account(rpc: str, market: Market, owner: Address, ids: list[ChannelId]) -> dict[str, object]:
    from trustedpods.contracts.client import Chain  # noqa: PLC0415  loads web3

    async with Chain(rpc, market) as chain:
        found = await chain.channels(owner, ids)
        return {
            "owed": await chain.owed(owner),
            "payout": await chain.payout(owner),
            "channels": [channel and asdict(channel) for channel in found],
        }


if __name__ == "__main__":
    main(prog_name="python -m trustedpods.contracts")
