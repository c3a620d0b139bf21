# SPDX-License-Identifier: Apache-2.0
"""`python -m trustedpods.contracts deploy | verify | inspect`: the contracts without the rest.

What takes time to import is imported inside the verb that needs it.
"""

import functools
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from trustedpods.protocol.errors import BadInput, ExitCode, TrustedPodsError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from trustedpods.contracts.records import Market
    from trustedpods.protocol.ids import Address, ChannelId

T = TypeVar("T")
V = TypeVar("V", bound=Callable[..., Any])

DEFAULT_RPC = "http://127.0.0.1:8545"
_PREFIX = "TRUSTEDPODS"

_COMMAND = "python -m trustedpods.contracts"


def _examples(*lines: str) -> str:
    """An epilog that click does not wrap."""
    return "\b\nExamples:\n" + "\n".join(f"  {_COMMAND} {line}" for line in lines)


def _run(function: Callable[[], Awaitable[T]]) -> T:
    import trio  # noqa: PLC0415

    try:
        return trio.run(function)
    except TrustedPodsError as error:
        _fail(error)


def _fail(error: TrustedPodsError) -> NoReturn:
    click.echo(f"error: {error}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    sys.exit(error.exit_code)


def _key(path: str) -> bytes:
    try:
        return bytes.fromhex(Path(path).read_text().strip().removeprefix("0x"))
    except (OSError, ValueError):
        raise click.BadParameter(f"{path} does not hold a private key in hex") from None


def _market(path: str, rpc: str | None) -> tuple[str, "Market"]:
    """The node's address (the flag's, else the file's) and the market."""
    from trustedpods.contracts.market_file import read_market  # noqa: PLC0415

    try:
        market, told = read_market(Path(path))
    except BadInput as error:
        _fail(error)
    return rpc or told or DEFAULT_RPC, market


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> "Address | None":
    from trustedpods.protocol.ids import parse_address  # noqa: PLC0415

    try:
        return None if value is None else parse_address(value)
    except BadInput as error:
        raise click.BadParameter(error.what) from None


def _channel(context: click.Context, parameter: click.Parameter, value: str) -> int:
    try:
        number = int(value, 16)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 192:
        raise click.BadParameter("a channel id is at most 48 hex digits")
    return number


def _plain(record: "DataclassInstance") -> dict[str, object]:
    """A flat record ready for JSON: bytes as hex with 0x, messages as objects."""
    return {field.name: _plain_value(getattr(record, field.name)) for field in fields(record)}


def _plain_value(value: object) -> object:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return value.model_dump() if hasattr(value, "model_dump") else value


def _print(value: dict[str, object] | list[dict[str, object]], output: str) -> None:
    if output == "json":
        click.echo(json.dumps(value, indent=2))
    elif isinstance(value, list):
        click.echo("\n\n".join(_lines(one) for one in value) or "none")
    else:
        click.echo(_lines(value))


def _lines(facts: dict[str, object]) -> str:
    width = max(len(name) for name in facts)
    return "\n".join(f"{name:<{width}}  {_text(value)}" for name, value in facts.items())


def _text(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={one}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    if value is None:
        return "-"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _rpc_option(verb: V) -> V:
    return click.option("--rpc", envvar=f"{_PREFIX}_RPC", help=f"The chain node [{DEFAULT_RPC}].")(verb)


def _output_option(verb: V) -> V:
    choice = click.Choice(["text", "json"])
    return click.option("-o", "--output", type=choice, default="text", help="What to print.")(verb)


def _common(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add --rpc, --market and -o to a verb; it gets the node's address, the market and the output."""

    @_rpc_option
    @click.option(
        "--market",
        "market_file",
        required=True,
        envvar=f"{_PREFIX}_MARKET",
        help="What `deploy -o json` printed, or a market.toml.",
    )
    @_output_option
    @functools.wraps(verb)
    def wrapped(rpc: str | None, market_file: str, output: str, **arguments: Any) -> None:  # noqa: ANN401
        verb(*_market(market_file, rpc), output, **arguments)

    return wrapped


@click.group(
    epilog=_examples(
        "deploy --key deployer.key -o json > market.json",
        "verify --market market.json",
        "inspect account --market market.json 0x7099...79C8",
    )
)
def main() -> None:
    """Deploy, verify and look into the contracts of a market, without the rest of the project."""


@main.command("deploy", epilog=_examples("deploy --key deployer.key --decimals 18 -o json > market.json"))
@_rpc_option
@click.option("--key", "key_file", required=True, help="File with the deployer's key in hex.")
@click.option("--decimals", default=6, show_default=True, type=click.IntRange(0, 18), help="The token's.")
@click.option("--symbol", default="TPT", show_default=True, help="The token's.")
@click.option(
    "--finality-blocks",
    default=0,
    show_default=True,
    type=click.IntRange(0, 10_000),
    help="Blocks on top of one before it counts as settled.",
)
@_output_option
def deploy_command(
    rpc: str | None, key_file: str, decimals: int, symbol: str, finality_blocks: int, output: str
) -> None:
    """Deploy a test token, the payment contract for it and a registry; print the market.

    As text it is the market file that `trustedpods` reads: publish it. The deployer may mint the token
    afterwards.
    """
    from trustedpods.contracts.deploy import deploy  # noqa: PLC0415

    key, place = _key(key_file), rpc or DEFAULT_RPC
    market = _run(lambda: deploy(place, key, decimals, symbol=symbol, finality_blocks=finality_blocks))
    made = {"rpc": place, **_plain(market)}
    if output == "json":
        _print(made, output)
    else:
        click.echo("\n".join(f"{name} = {json.dumps(value)}" for name, value in made.items()))


@main.command(epilog=_examples("verify --market market.json && echo genuine"))
@_common
def verify(rpc: str, market: "Market", output: str) -> None:
    """Compare deployed code with the packaged bytecode; code 3 when it differs."""
    from trustedpods.contracts.deploy import unlike_source  # noqa: PLC0415

    differing = _run(lambda: unlike_source(rpc, market))
    if output == "json":
        click.echo(json.dumps({"not_this_source": differing}))
    elif differing:
        click.echo(f"not this source: {', '.join(differing)}", err=True)
    else:
        click.echo("all three contracts are the packaged ones")
    if differing:
        sys.exit(ExitCode.COPIES_DIFFER)


@main.group(
    epilog=_examples(
        "inspect market --market market.json",
        "inspect channel --market market.json OWNER ID -o json",
        "inspect channels --market market.json --owner OWNER",
    )
)
def inspect() -> None:
    """Look at a market, its providers, a channel, all channels of somebody, an account."""


@inspect.command("market")
@_common
def inspect_market(rpc: str, market: "Market", output: str) -> None:
    """Contracts, token, newest block, number of providers; whether the code is the packaged one."""
    from trustedpods.contracts.inspect import market_facts  # noqa: PLC0415

    facts = _run(lambda: market_facts(rpc, market))
    token = {"token_symbol": facts.token.symbol, "token_decimals": facts.token.decimals}
    seen = {name: value for name, value in _plain(facts).items() if name not in ("market", "token")}
    _print({**_plain(facts.market), **token, **seen}, output)


@inspect.command("providers")
@_common
def inspect_providers(rpc: str, market: "Market", output: str) -> None:
    """Every row of the registry."""
    from trustedpods.contracts.inspect import provider_facts  # noqa: PLC0415

    _print([_plain(row) for row in _run(lambda: provider_facts(rpc, market))], output)


@inspect.command("channel")
@_common
@click.argument("owner", callback=_address)
@click.argument("channel", metavar="ID", callback=_channel)
def inspect_channel(rpc: str, market: "Market", output: str, owner: "Address", channel: "ChannelId") -> None:
    """One channel of a provider's OWNER, by its ID in hex: open or how it ended."""
    from trustedpods.contracts.inspect import channel_facts  # noqa: PLC0415

    facts = _run(lambda: channel_facts(rpc, market, owner, channel))
    plain: dict[str, object] = {"owner": facts.owner, "id": facts.id, "open": facts.state is not None}
    for part in (facts.state, facts.closing, facts.opening):
        plain |= {} if part is None else _plain(part)
    _print(plain, output)


@inspect.command("channels")
@_common
@click.option("--owner", callback=_address, help="Of this provider.")
@click.option("--publisher", callback=_address, help="Of this publisher.")
def inspect_channels(
    rpc: str, market: "Market", output: str, owner: "Address | None", publisher: "Address | None"
) -> None:
    """All channels that live of a provider, of a publisher, or between both."""
    from trustedpods.contracts.inspect import channels_facts  # noqa: PLC0415

    if owner is None and publisher is None:
        raise click.UsageError("give --owner, --publisher, or both")
    found = _run(lambda: channels_facts(rpc, market, owner, publisher))
    _print([{"owner": one.owner, "id": one.id, **_plain(one.state)} for one in found], output)


@inspect.command("account")
@_common
@click.argument("address", callback=_address)
def inspect_account(rpc: str, market: "Market", output: str, address: "Address") -> None:
    """What ADDRESS holds, is owed, and where that is paid."""
    from trustedpods.contracts.inspect import account_facts  # noqa: PLC0415

    _print(_plain(_run(lambda: account_facts(rpc, market, address))), output)


if __name__ == "__main__":
    main(prog_name=_COMMAND)
