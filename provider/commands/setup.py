# SPDX-License-Identifier: Apache-2.0
"""Verbs for whoever sets a provider up: setup, doctor, facade-files, tls-request."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustedpods.protocol.errors import ExitCode
from trustedpods.provider.commands.options import (
    config_option,
    explained,
    no_market_option,
    output_option,
    qr_option,
)
from trustedpods.provider.commands.output import show, show_rows

if TYPE_CHECKING:
    from trustedpods.provider.setup.owner.qr_codes import QrRoom
    from trustedpods.provider.setup.procedure import SetupResult

MOST_WAIT_S = 7 * 86_400
"""An owner with a cold key may take days; longer than that is a mistake in the unit."""


@click.command(
    "setup",
    epilog="""\b
Examples:
  trustedpods-provider setup
  trustedpods-provider setup --answers answers.toml --yes -o json
  trustedpods-provider setup --core-hour 2.5 --gib-hour 0.5    # other prices
""",
)
@config_option
@click.option("--answers", "answers_file", type=click.Path(path_type=Path), help="A file of answers (TOML).")
@click.option(
    "--yes", is_flag=True, help="Ask nothing; prices that nobody gave are the market's middle ones."
)
@click.option("--domain", help="Pods are at NAME.DOMAIN.")
@click.option("--market", type=click.Path(path_type=Path), help="The file with the market's contracts.")
@click.option("--rpc", metavar="URL", help="The chain's node.")
@click.option("--owner", metavar="ADDRESS", help="Who is paid.")
@click.option("--core-hour", metavar="TOKENS", help="The price of a core-hour.")
@click.option("--gib-hour", metavar="TOKENS", help="The price of a GiB-hour of memory.")
@click.option("--region", help="A short word for where this is.")
@click.option("--data", type=click.Path(path_type=Path), help="The folder for books, blobs and images.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="The cluster, where it is not found.")
@click.option(
    "--user-namespaces/--no-user-namespaces", default=None,
    help="Whether each pod has user ids of its own outside.",
)  # fmt: skip
@click.option("--public-address", metavar="IP", help="Where the world reaches this machine, behind NAT.")
@click.option("--trust", type=click.Choice(["sealed", "open"]), help="Sealed where the machine has a TEE.")
@click.option("--user", default="trustedpods", show_default=True, help="Who runs the daemon.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0, MOST_WAIT_S), default=0.0, show_default=True,
    help="Seconds to wait for the owner's transactions.",
)  # fmt: skip
@qr_option
@output_option
@explained
def set_up_provider(
    config_path: Path,
    answers_file: Path | None,
    yes: bool,
    user: str,
    wait_s: float,
    qr: bool | None,
    output: str,
    **given: str | Path | bool | None,
) -> None:
    """Set a provider up: find, ask, write the settings, print what the owner signs. Run it again to go on.

    What is there already stays: a second run changes nothing, and no key is ever replaced. It asks only at a
    terminal, and only for what no flag, no file and no settings answer. Where the daemon's user cannot read
    the kubeconfig that was found, an account is made for it in that cluster. Once the daemon runs it ends in
    `doctor`. Exit code 4: something is left to do.
    """
    import trio

    from trustedpods.provider.setup.answers import SetupAnswers, answered, read_answers
    from trustedpods.provider.setup.asking import Asking
    from trustedpods.provider.setup.files import service_user
    from trustedpods.provider.setup.procedure import Setup, set_up
    from trustedpods.provider.setup.site import RealSite

    flags = answered(**{name: _absolute(value) for name, value in given.items()})
    answers = flags.over(read_answers(answers_file) if answers_file else SetupAnswers())
    ask = None if yes or output == "json" or not sys.stdin.isatty() else _ask
    setup = Setup(
        config_path=config_path.absolute(),
        user=service_user(user),
        site=RealSite(),
        asking=Asking(ask, usual=yes, told=click.echo),
        wait_s=wait_s,
        waiting=_silent if output == "json" else _waiting(qr_room(wanted=qr)),
    )
    result = trio.run(set_up, setup, answers)
    if output == "json":
        show(result.plain(), output)
    else:
        click.echo("\n".join(result.lines(qr_room(wanted=qr))))
    if not result.complete:
        sys.exit(int(ExitCode.NO_CONTEXT))
    if output != "json":
        _examine(config_path, False, output)


def qr_room(*, wanted: bool | None) -> "QrRoom | None":
    """Room for QR codes: what the terminal has, none without one, and any where they are *wanted*."""
    from trustedpods.provider.setup.owner.qr_codes import QrRoom, drawable

    terminal = sys.stdout.isatty()
    if wanted is False or (wanted is None and not terminal):
        return None
    if not drawable(sys.stdout.encoding):
        click.echo(f"no QR codes: {sys.stdout.encoding} has no characters for them; use UTF-8", err=True)
        return None
    if wanted:
        return QrRoom(None, None, coloured=terminal)
    size = shutil.get_terminal_size()
    return QrRoom(size.columns, size.lines, coloured=True)


def _absolute(value: str | Path | bool | None) -> str | bool | None:
    return str(value.absolute()) if isinstance(value, Path) else value


def _waiting(room: "QrRoom | None") -> "Callable[[SetupResult], None]":
    """What a person reads while the owner signs: all of it once, later how much is left."""
    begun = False

    def tell(result: "SetupResult") -> None:
        nonlocal begun
        if not begun:
            click.echo("\n".join(result.lines(room)))
        begun = True
        click.echo(f"\nwaiting for the owner's wallet: {len(result.transactions)} to sign")

    return tell


def _silent(result: "SetupResult") -> None:
    """JSON is one document, at the end; what the owner signs meanwhile is in the row's file."""


def _ask(question: str, usual: str | None) -> str:
    said: str = click.prompt(question, default=usual)
    return said.strip()


@click.command()
@config_option
@no_market_option
@output_option
@explained
def doctor(config_path: Path, no_market: bool, output: str) -> None:
    """Check every part that the daemon needs, and say what is missing."""
    _examine(config_path, no_market, output)


def _examine(config_path: Path, no_market: bool, output: str) -> None:
    """The doctor's table; leaves with an exit code where a part is missing."""
    from dataclasses import asdict

    import trio

    from trustedpods.provider.admin.doctor import examine
    from trustedpods.provider.admin.documents_doctor import examine_documents
    from trustedpods.provider.config import load_config
    from trustedpods.provider.without_market import load_documents_config

    if no_market:
        findings = trio.run(examine_documents, load_documents_config(config_path))
    else:
        findings = trio.run(examine, load_config(config_path))
    show_rows([asdict(finding) for finding in findings], output)
    if any(finding.state != "ok" for finding in findings):
        sys.exit(int(ExitCode.NO_CONTEXT))


@click.command("facade-files")
@config_option
@explained
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
        challenges=config.tls.acme is not None and config.tls.acme.challenge == "http-01",
    )
    install(made, folder / "haproxy.cfg")
    click.echo(folder / "haproxy.cfg")


@click.command("tls-request")
@config_option
@explained
def tls_request(config_path: Path) -> None:
    """Print a signing request for this boot's TLS key: a public authority answers with `certificate_file`."""
    from trustedpods.provider.config import load_config
    from trustedpods.provider.facade.certificates import provider_names, request
    from trustedpods.provider.keys.boot import BootKeys

    identity = load_config(config_path).identity
    keys = BootKeys.load_or_create(Path(identity.keys_dir))
    click.echo(request(provider_names(identity.domain), keys.tls).decode(), nl=False)
