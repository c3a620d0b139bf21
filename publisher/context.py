# SPDX-License-Identifier: Apache-2.0
"""Which market is meant and who is asking: a flag, else the environment, the context, the config folder.

Nothing here asks questions or talks to anybody; what is missing is said in a `NoContext` that
names the places where it was looked for.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.protocol.ids import Address, parse_address
from trustedpods.publisher.contexts import config_dir, load_contexts, parse_toml, read_toml

MARKET_VARIABLE = "TRUSTEDPODS_MARKET"
KEY_VARIABLE = "TRUSTEDPODS_KEY"

MAX_FINALITY_BLOCKS = 10_000
"""Beyond this a deposit would be waited for longer than any pod's deploy."""

LONGEST_SHOWN = 128
"""Characters of a text, or bits of a number, that an error repeats: nobody reads more."""

_FIELDS = {
    "rpc": str,
    "chain_id": int,
    "payments": str,
    "registry": str,
    "token": str,
    "finality_blocks": int,
}
_OPTIONAL = {"simulated": dict}
_MEASUREMENT = re.compile(r"[0-9a-f]{96}")
_MOST_MEASUREMENTS = 16
"""A localnet boots one image."""


@dataclass(frozen=True, slots=True)
class MarketFile:
    """Where a market is: its chain and its contracts.

    `simulated_root` is the PEM root of a localnet's simulated hardware; None in a real market,
    and then simulated evidence is refused. `simulated_measurements` are the launch digests that the localnet
    lists (hexadecimal); without any its providers run on no measured image, and all say the same constant.
    """

    path: Path
    rpc: str
    chain_id: int
    payments: Address
    registry: Address
    token: Address
    finality_blocks: int
    simulated_root: str | None
    simulated_measurements: tuple[str, ...] = ()


def state_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """The user's folder of hints and unfinished transactions: in $XDG_STATE_HOME or ~/.local/state."""
    base = environment.get("XDG_STATE_HOME") or str(_home(environment) / ".local" / "state")
    return Path(base) / "trustedpods"


def cache_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """The user's folder of what can be made again: $XDG_CACHE_HOME or ~/.cache."""
    base = environment.get("XDG_CACHE_HOME") or str(_home(environment) / ".cache")
    return Path(base) / "trustedpods"


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or "/")


def locate(what: str, flag: str | None, variable: str, file: str, environment: Mapping[str, str]) -> Path:
    """The file that is meant: *flag*, else *variable*'s, the context's, else *file* in the config folder.

    Raises `NoContext` when none of them names a file that exists.
    """
    named = [(f"--{what}", flag), (f"${variable}", environment.get(variable))]
    if not any(value for _, value in named):  # a wrong configuration file is no matter of who needs none
        context = load_contexts(environment).chosen
        if context is not None:
            value = context.market if what == "market" else context.key
            named.append((f"{what} of the context {context.name!r}", value))
    for source, value in named:
        if value:
            path = Path(value)
            if not path.is_file():
                raise NoContext(f"{source} names {value}, which is not a file")
            return path
    fallback = config_dir(environment) / file
    if fallback.is_file():
        return fallback
    raise NoContext(
        f"no {what} file: none given by --{what}, ${variable} or a context, and {fallback} does not exist",
        hint=f"give --{what} FILE, or keep it: `trustedpods context use NAME --{what} FILE`; "
        "`trustedpods-localnet env` prints both variables of a localnet",
    )


def load_market(flag: str | None, environment: Mapping[str, str] = os.environ) -> MarketFile:
    """Find and read the market file.

    Raises `NoContext` when there is none, `BadInput` naming the field when it is wrong.
    """
    return read_market(locate("market", flag, MARKET_VARIABLE, "market.toml", environment))


def read_market(path: Path) -> MarketFile:
    """Read one market file; unknown, missing and mistyped fields are refused."""
    return _market(read_toml(path), path)


def parse_market(data: bytes, path: Path) -> MarketFile:
    """The same of what would be the file at *path*."""
    return _market(parse_toml(data, path), path)


def _market(table: Mapping[str, object], path: Path) -> MarketFile:
    known = _FIELDS | _OPTIONAL
    for name, value in table.items():
        if name not in known:
            raise BadInput(f"unknown field {name!r}; there are: {', '.join(known)}", where=str(path))
        if type(value) is not known[name]:
            raise BadInput(f"{name} must be of type {known[name].__name__}", where=str(path))
    for name in _FIELDS:
        if name not in table:
            raise BadInput(f"the field {name!r} is missing", where=str(path))
    return MarketFile(
        path=path,
        rpc=_url(table["rpc"], path),
        chain_id=_bounded(table, "chain_id", 1, 2**64 - 1, path),
        payments=_address(table, "payments", path),
        registry=_address(table, "registry", path),
        token=_address(table, "token", path),
        finality_blocks=_bounded(table, "finality_blocks", 0, MAX_FINALITY_BLOCKS, path),
        simulated_root=_simulated_root(table.get("simulated"), path),
        simulated_measurements=_simulated_measurements(table.get("simulated"), path),
    )


def _url(value: object, path: Path) -> str:
    text = str(value)
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an address, a port that is none
        sound = False
    if not sound or not text.isascii() or not text.isprintable() or " " in text:
        raise BadInput(f"rpc is not an http or https URL: {text[:LONGEST_SHOWN]!r}", where=str(path))
    return text


def _bounded(table: Mapping[str, object], name: str, low: int, high: int, path: Path) -> int:
    value = table[name]
    assert isinstance(value, int)
    if not low <= value <= high:
        told = f", not {value}" if value.bit_length() <= LONGEST_SHOWN else ""
        raise BadInput(f"{name} must be from {low} to {high}{told}", where=str(path))
    return value


def _address(table: Mapping[str, object], name: str, path: Path) -> Address:
    try:
        return parse_address(str(table[name]))
    except BadInput as error:
        raise BadInput(f"{name}: {error.what}", where=str(path), hint=error.hint) from None


def _simulated_root(table: object, path: Path) -> str | None:
    if table is None:
        return None
    assert isinstance(table, dict)
    if not {"root"} <= set(table) <= {"root", "measurements"} or not isinstance(table["root"], str):
        raise BadInput(
            "[simulated] holds root, a PEM certificate, and maybe measurements, nothing else", where=str(path)
        )
    if "-----BEGIN CERTIFICATE-----" not in table["root"]:
        raise BadInput("simulated.root is not a PEM certificate", where=str(path))
    return table["root"]


def _simulated_measurements(table: object, path: Path) -> tuple[str, ...]:
    listed = table.get("measurements", ()) if isinstance(table, dict) else ()
    if not isinstance(listed, list | tuple) or len(listed) > _MOST_MEASUREMENTS:
        raise BadInput(
            f"simulated.measurements is a list of at most {_MOST_MEASUREMENTS} digests", where=str(path)
        )
    if not all(isinstance(one, str) and _MEASUREMENT.fullmatch(one) for one in listed):
        raise BadInput("a digest in simulated.measurements is not 96 hexadecimal digits", where=str(path))
    return tuple(listed)
