# SPDX-License-Identifier: Apache-2.0
"""`trustedpods-provider`: the operator's command line. Heavy imports happen inside the verbs."""

import json
import logging
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

import click

from trustedpods.protocol.errors import BadInput, ExitCode, TrustedPodsError

P = ParamSpec("P")

DEFAULT_CONFIG = "/etc/trustedpods/provider.toml"

_config_option = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    envvar="TRUSTEDPODS_PROVIDER_CONFIG",
    default=DEFAULT_CONFIG,
    show_default=True,
    help="The provider's configuration.",
)
PLAIN_WIDTH = 240
"""Of a table that goes to a file or a pipe: a channel's id is 48 characters, and none is folded."""

_output_option = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", help="For people or for programs."
)


def _explained(verb: Callable[P, None]) -> Callable[P, None]:
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
    click.echo(f"error: {error}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)
    sys.exit(int(error.exit_code))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="trusted-pods")
def main() -> None:
    """Sell the time of a cluster to publishers of confidential pods."""


@main.command()
@_config_option
@click.option("-v", "--verbose", is_flag=True, help="Log every detail.")
@_explained
def serve(config_path: Path, verbose: bool) -> None:
    """Run the daemon until it is told to stop."""
    import trio

    from trustedpods.provider.config import load_config
    from trustedpods.provider.daemon.main import serve as run_daemon

    _log_to_stderr(verbose)
    trio.run(run_daemon, load_config(config_path))


@main.command()
@_config_option
@click.option("--wait", "wait_s", default=60, show_default=True, help="Seconds to wait for the daemon.")
@_output_option
@_explained
def register(config_path: Path, wait_s: int, output: str) -> None:
    """Write the running daemon's row into the registry, signed by the owner's key."""
    import trio

    from trustedpods.provider.admin import registration
    from trustedpods.provider.config import load_config

    _show(trio.run(registration.register, load_config(config_path), wait_s), output)


@main.command()
@_config_option
@_output_option
@_explained
def unregister(config_path: Path, output: str) -> None:
    """Take the provider's row out of the registry."""
    import trio

    from trustedpods.provider.admin import registration
    from trustedpods.provider.config import load_config

    _show(trio.run(registration.unregister, load_config(config_path)), output)


@main.command()
@_config_option
@click.option("--publish", is_flag=True, help="Write the configured prices into the registry row.")
@_output_option
@_explained
def prices(config_path: Path, publish: bool, output: str) -> None:
    """Show the prices of the configuration and of the registry row, or publish the former."""
    import trio

    from trustedpods.provider.admin import registration
    from trustedpods.provider.config import load_config

    _show(trio.run(registration.prices, load_config(config_path), publish), output)


@main.command()
@_config_option
@click.option("--all", "everything", is_flag=True, help="The ended ones too.")
@_output_option
@_explained
def pods(config_path: Path, everything: bool, output: str) -> None:
    """List the pods of the running daemon: numbers, and why one is not as it was asked for."""
    found = _ask(config_path, {"verb": "pods", "all": everything})["pods"]
    if output == "json":
        click.echo(json.dumps(found, indent=2))
    else:
        _table(found)


@main.command()
@_config_option
@click.option(
    "--every", "every_s", type=click.FloatRange(min=0.2), default=2.0, show_default=True, help="Seconds."
)
@_output_option
@_explained
def top(config_path: Path, every_s: float, output: str) -> None:
    """Show what the pods do now, the busiest first; without a terminal, once."""
    question = {"verb": "overview"}
    if output == "json":
        click.echo(json.dumps(_ask(config_path, question), indent=2))
        return
    import time

    from trustedpods.provider.admin.top import watch

    watch(lambda: _ask(config_path, question), time.monotonic, time.sleep, every_s)


@main.command()
@_config_option
@click.option("--prepare", is_flag=True, help="Sign and store the claim, and do not send it yet.")
@click.option("--withdraw", is_flag=True, help="Then pay out what the contract owes the owner.")
@_output_option
@_explained
def claim(config_path: Path, prepare: bool, withdraw: bool, output: str) -> None:
    """Claim what is due: what was prepared, else everything up to now."""
    if prepare and withdraw:
        raise BadInput("--prepare sends nothing, so there is nothing to withdraw")
    _show(_ask(config_path, {"verb": "claim", "prepare": prepare, "withdraw": withdraw}), output)


@main.command()
@_config_option
@click.argument("target", metavar="HOST|IP|LABEL")
@click.option("--reason", required=True, help="Why; the pod's publisher reads it in `status`.")
@click.option("--deny", is_flag=True, help="Take no pod of its publisher's key any more.")
@_output_option
@_explained
def evict(config_path: Path, target: str, reason: str, deny: bool, output: str) -> None:
    """Send a pod away: claim what is due, remove it with its volumes, refund the rest of the deposit."""
    found = _ask(config_path, {"verb": "evict", "target": target, "reason": reason, "deny": deny})["pods"]
    click.echo(json.dumps(found, indent=2)) if output == "json" else _table(found)


@main.command()
@_config_option
@click.option("--reason", default="maintenance", show_default=True, help="Why; publishers read it.")
@click.option("--undo", is_flag=True, help="Take pods in again.")
@_output_option
@_explained
def drain(config_path: Path, reason: str, undo: bool, output: str) -> None:
    """Take no pods any more; claim what is due, and send all away that are here."""
    found = _ask(config_path, {"verb": "drain", "reason": reason, "undo": undo})["pods"]
    click.echo(json.dumps(found, indent=2)) if output == "json" else _table(found)


@main.command()
@_config_option
@_explained
def activator(config_path: Path) -> None:
    """Run the activator: hold requests of sleeping pods until the daemon has woken them."""
    from trustedpods.provider.config import load_config
    from trustedpods.provider.facade.activator.activator import main as run_activator

    facade = load_config(config_path).facade
    options = {
        "--sockets": facade.activator_dir,
        "--slots": facade.pools.http,
        "--h2-slots": facade.pools.h2,
        "--tcp-slots": facade.pools.tcp,
        "--wake-socket": facade.wake_socket,
        "--max-held": facade.max_held,
        "--wake-limit": facade.wake_limit_s,
    }
    sys.exit(run_activator([str(word) for option in options.items() for word in option]))


@main.command("facade-files")
@_config_option
@_explained
def facade_files(config_path: Path) -> None:
    """Write haproxy.cfg and its error pages beside the facade's map file."""
    from trustedpods.provider.config import load_config
    from trustedpods.provider.facade.haproxy.config import Bind, FacadeConfig, FacadeLimits
    from trustedpods.provider.facade.haproxy.files import install

    config = load_config(config_path)
    section = config.facade
    folder = Path(section.map_file).parent
    made = FacadeConfig(
        binds=tuple(Bind(bind) for bind in section.binds),
        pools=section.pools,
        runtime_socket=Path(section.runtime_socket),
        map_file=Path(section.map_file),
        activator_dir=Path(section.activator_dir),
        pages_dir=folder / "pages",
        tcp_binds=tuple(Bind(bind) for bind in section.tcp_binds),
        tls_binds=tuple(Bind(bind) for bind in section.tls_binds),
        tls_dir=section.tls_dir(config.identity.keys_dir),
        https_suffix=section.https_suffix,
        exporter=Bind(section.exporter) if section.exporter else None,
        limits=FacadeLimits(
            header_s=section.header_s,
            per_source=section.source_connections,
            source_rate=section.source_rate or None,
        ),
    )
    install(made, folder / "haproxy.cfg")
    click.echo(folder / "haproxy.cfg")


@main.command("tls-request")
@_config_option
@_explained
def tls_request(config_path: Path) -> None:
    """Print a signing request for this boot's TLS key: a public authority answers with `certificate_file`."""
    from trustedpods.provider.config import load_config
    from trustedpods.provider.facade.certificates import provider_names, request
    from trustedpods.provider.keys.boot import BootKeys

    identity = load_config(config_path).identity
    keys = BootKeys.load_or_create(Path(identity.keys_dir))
    click.echo(request(provider_names(identity.domain), keys.tls).decode(), nl=False)


@main.command()
@_config_option
@_output_option
@_explained
def doctor(config_path: Path, output: str) -> None:
    """Check every part that the daemon needs, and say what is missing."""
    import trio

    from trustedpods.provider.admin.doctor import examine
    from trustedpods.provider.config import load_config

    findings = trio.run(examine, load_config(config_path))
    if output == "json":
        click.echo(json.dumps(findings, indent=2))
    else:
        _table(findings)
    if any(finding["state"] != "ok" for finding in findings):
        sys.exit(int(ExitCode.NO_CONTEXT))


def _ask(config_path: Path, question: dict[str, Any]) -> dict[str, Any]:
    import trio

    from trustedpods.provider.admin.socket import ask_daemon
    from trustedpods.provider.config import load_config

    return trio.run(ask_daemon, load_config(config_path).admin_socket, question)


def _show(facts: dict[str, Any], output: str) -> None:
    if output == "json":
        click.echo(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        click.echo(f"{name}: {'-' if value is None else value}")


def _table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        click.echo("none")
        return
    table = Table(box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*("-" if value is None else str(value) for value in row.values()))
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
    console.print(table)


def _log_to_stderr(verbose: bool) -> None:
    """The service manager keeps the log; tenants' contents are never in it."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for chatty in ("httpx", "httpcore", "libp2p", "web3", "urllib3", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
