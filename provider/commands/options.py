# SPDX-License-Identifier: Apache-2.0
"""What every verb of the operator shares: its configuration, its output, and how it fails."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import NoReturn, ParamSpec

import click

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.commands.output import one_line

P = ParamSpec("P")

DEFAULT_CONFIG = "/etc/trustedpods/provider.toml"

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    envvar="TRUSTEDPODS_PROVIDER_CONFIG",
    default=DEFAULT_CONFIG,
    show_default=True,
    help="The provider's configuration.",
)

no_market_option = click.option(
    "--no-market", is_flag=True, help="A daemon that keeps networks' documents and leases, and no pods."
)

output_option = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", help="For people or for programs."
)

qr_option = click.option(
    "--qr/--no-qr",
    default=None,
    help="QR codes of what the owner signs; by default on a terminal that is large enough.",
)


def explained(verb: Callable[P, None]) -> Callable[P, None]:
    """Print our errors as one clear message, and leave with their exit code."""

    @wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            verb(*args, **kwargs)
        except BaseExceptionGroup as group:
            _fail(_first(group))
        except TrustedPodsError as error:
            _fail(error)

    return run


def _first(group: BaseExceptionGroup[BaseException]) -> TrustedPodsError:
    """Our error out of a nursery's group; anything else is a bug and shows its trace."""
    ours, others = group.split(TrustedPodsError)
    if ours is None or others is not None:
        raise group
    first: BaseException = ours
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    assert isinstance(first, TrustedPodsError)
    return first


def _fail(error: TrustedPodsError) -> NoReturn:
    click.echo(f"error: {one_line(str(error))}", err=True)
    if error.hint:
        click.echo(f"hint: {one_line(error.hint)}", err=True)
    sys.exit(int(error.exit_code))
