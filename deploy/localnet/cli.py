# SPDX-License-Identifier: Apache-2.0
"""The command `trustedpods-localnet`."""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from trustedpods.protocol.errors import BadInput, NoContext, TrustedPodsError

if TYPE_CHECKING:
    from trustedpods.localnet.settings import Knobs

_DEFAULT_NAME = "market"
_REST = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}
"""For verbs that hand what follows to another command, `--` and `--help` included."""


def _name_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--name", default=_DEFAULT_NAME, show_default=True, envvar="TRUSTEDPODS_LOCALNET",
        help="Which localnet; several can run side by side.",
    )(command)  # fmt: skip


def _say(text: str) -> None:
    click.echo(text, err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="trusted-pods")
def cli() -> None:
    """A whole market on this machine: chain, contracts, Kubernetes and providers."""


_UP_OPTIONS = [
    click.option("--clusters", type=click.IntRange(1, 8), default=1, show_default=True,
                 help="How many clusters, each with a provider; each dearer than the one before."),
    click.option("--nodes", type=click.IntRange(1, 7), default=1, show_default=True,
                 help="How many nodes each embedded cluster has."),
    click.option("--existing", metavar="KUBECONFIG",
                 type=click.Path(exists=True, dir_okay=False, path_type=Path),
                 help="Use your own cluster (provider class `open`) instead of an embedded one."),
    click.option("--guest", metavar="FOLDER", is_flag=False, flag_value="build/guest",
                 type=click.Path(file_okay=False, path_type=Path),
                 help="Run the provider in an emulated machine of the image there (build/guest)."),
    click.option("--no-provider", "provider", flag_value=False, type=bool, default=None,
                 help="Chain and clusters only."),
    click.option("--secrets-store", "secrets_store", flag_value=True, type=bool, default=None,
                 help="Run a stand-in for the secrets store CSI driver on each node."),
    click.option("--ingress", "ingress", flag_value=True, type=bool, default=None,
                 help="Run an ingress controller (Traefik) in each cluster (provider class `open`)."),
    click.option("--user-namespaces", "user_namespaces", flag_value=True, type=bool, default=None,
                 help="Give every pod user ids of its own outside (containerd 2)."),
    click.option("--limit", type=float, help="Seconds to wait. [default: 300, 1800 with --guest]"),
    click.option("--decimals", "decimals", type=int, metavar="6|18", help="Of the token. [default: 18]"),
    click.option("--claim-interval", "claim_interval_s", type=int, metavar="SECONDS", help="[default: 10]"),
    click.option("--unlock", "unlock_s", type=int, metavar="SECONDS",
                 help="Unlock period, in whole minutes. [default: 60]"),
    click.option("--grace", "grace_s", type=int, metavar="SECONDS",
                 help="How long volumes are kept without funds. [default: 60]"),
    click.option("--warn-before", "warn_before_s", type=int, metavar="SECONDS",
                 help="Warning before funds end. [default: 30]"),
    click.option("--idle-after", "idle_after_s", type=int, metavar="SECONDS",
                 help="Silence until scale to zero. [default: 5]"),
    click.option("--price-step", "price_step_percent", type=int, metavar="PERCENT",
                 help="How much dearer each next cluster is. [default: 50]"),
]  # fmt: skip


@cli.command()
@_name_option
def up(
    name: str,
    clusters: int,
    nodes: int,
    existing: Path | None,
    guest: Path | None,
    limit: float | None,
    **turned: int | bool | None,
) -> None:
    """Bring a localnet up; again: start what is missing."""
    from trustedpods.localnet.up import up as bring_up

    began = time.monotonic()
    settings = bring_up(
        name,
        clusters=clusters,
        nodes=nodes,
        kubeconfig=existing.absolute() if existing else None,
        guest=guest.absolute() if guest else None,
        knobs=_knobs(turned),
        limit_s=limit,
        say=_say,
    )
    _say(f"{name} is up ({time.monotonic() - began:.1f} s); state in {settings.state}")


def _knobs(turned: dict[str, int | bool | None]) -> "Knobs | None":
    """The knobs that were turned; none when none was."""
    from pydantic import ValidationError

    from trustedpods.localnet.settings import Knobs

    values = {name: value for name, value in turned.items() if value is not None}
    try:
        return Knobs.model_validate(values) if values else None
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{first['loc'][0]}: {first['msg']}") from None


for _option in _UP_OPTIONS:
    up = _option(up)


@cli.command()
@_name_option
@click.option("--keep", is_flag=True, help="Keep the files, so that `up` goes on where this ends.")
def down(name: str, keep: bool) -> None:
    """Remove a localnet with everything that belongs to it."""
    from trustedpods.localnet.down import down as bring_down

    if bring_down(name, keep=keep, say=_say):
        _say(f"{name} is down")


@cli.command()
@_name_option
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table")
def status(name: str, output: str) -> None:
    """Show what runs, and where."""
    from trustedpods.localnet.folders import load_settings
    from trustedpods.localnet.report import print_tables, report

    facts = report(load_settings(name))
    if output == "json":
        click.echo(json.dumps(facts, indent=2))
    else:
        print_tables(facts)


@cli.command()
@_name_option
@click.option("-f", "--follow", is_flag=True, help="Go on as lines are written.")
@click.option("-n", "--lines", default=50, show_default=True, help="How many to begin with.")
@click.argument("part", required=False)
def logs(name: str, follow: bool, lines: int, part: str | None) -> None:
    """Show what PART (as in `status`; none: all of them) wrote."""
    from trustedpods.localnet.folders import load_settings, log_file

    settings = load_settings(name)
    folder = settings.state / "log"
    files = [log_file(settings.state, part)] if part else sorted(folder.glob("*.log"))
    if part and not files[0].exists():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.log")))
        raise NoContext(f"no log of {part!r}", hint=f"there are: {known}")
    _become(["tail", "-n", str(lines), *(["-F"] if follow else []), *map(str, files)])


@cli.command()
@_name_option
def env(name: str) -> None:
    """Print variables for `eval $(trustedpods-localnet env)`."""
    from trustedpods.localnet.folders import load_settings

    settings = load_settings(name)
    cluster = settings.all_clusters()[0]
    inside = {"KUBECONFIG": settings.kubeconfig or cluster.path("pki", "admin.conf")}
    values = {
        **(inside if settings.guest is None else {}),
        "TRUSTEDPODS_MARKET": settings.state / "market.toml",
        "TRUSTEDPODS_KEY": settings.state / "publisher.key",
    }
    click.echo("\n".join(f"export {key}='{value}'" for key, value in values.items()))


@cli.command(context_settings=_REST)
@_name_option
@click.option("--cluster", "cluster_name", default="k1", show_default=True)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def kubectl(name: str, cluster_name: str, arguments: tuple[str, ...]) -> None:
    """Run kubectl against a cluster, as its administrator."""
    from trustedpods.localnet.cluster.cluster import kubectl as command
    from trustedpods.localnet.folders import load_settings

    settings = load_settings(name)
    if settings.guest is not None:
        raise NoContext("no administrator's kubeconfig leaves the machine of an image")
    found = [one for one in settings.all_clusters() if one.name == cluster_name]
    if not found:
        raise NoContext(f"{name!r} has no cluster {cluster_name!r}")
    _become([*command(settings, found[0]), *arguments])


@cli.command(context_settings=_REST)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def demo(arguments: tuple[str, ...]) -> None:
    """Deploy an example pod and show every step of its life."""
    try:
        module = importlib.import_module("trustedpods.localnet.demo")
    except ModuleNotFoundError:
        raise NoContext("this version has no demo") from None
    module.main(list(arguments))


def _become(argv: list[str]) -> NoReturn:
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - argv is our own, and the process is to be replaced
    except FileNotFoundError:
        hint = "`make setup` puts it there; it looks under the home folder of whoever runs this"
        raise NoContext(f"{argv[0]} is not there", hint=hint) from None


def main() -> NoReturn:
    """Run the command and end with the exit code that the error names."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.exceptions.Abort:
        sys.exit(130)
    except TrustedPodsError as error:
        _say(f"trustedpods-localnet: {error}")
        if error.hint:
            _say(f"  {error.hint}")
        sys.exit(int(error.exit_code))
    sys.exit(0)
