# SPDX-License-Identifier: Apache-2.0
"""The verbs backup and restore."""

import time
from pathlib import Path

import click

from trustedpods.provider.commands.options import config_option, explained, output_option
from trustedpods.provider.commands.output import show


@click.command(
    epilog="""\b
Examples:
  trustedpods-provider backup /var/backups/provider              # a new file in that folder
  trustedpods-provider backup provider.backup
""",
)
@config_option
@click.argument("target", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@output_option
@explained
def backup(config_path: Path, target: Path, output: str) -> None:
    """Put books, keys, certificates and settings into one file, for class `open`; the daemon may run.

    Whoever has the file has the operator's key: keep it as you keep that. Not in it are images, blobs, what
    Kubernetes has, the owner's key, and keys of this boot, which are in memory only.
    """
    from importlib.metadata import version

    from trustedpods.provider.backups.backup import back_up
    from trustedpods.provider.config import load_config

    made = back_up(
        load_config(config_path),
        config_path.absolute(),
        target,
        now=int(time.time()),
        version=version("trusted-pods"),
    )
    show(
        {
            "backup": str(made.path),
            "bytes": made.size,
            "provider": str(made.index.provider),
            "schema": made.index.schema_of_books,
            "files": _listed([one.name for one in made.index.files], output),
            "not there": _listed([str(path) for path in made.left_out], output),
        },
        output,
    )


def _listed(texts: list[str], output: str) -> list[str] | str | None:
    return texts if output == "json" else ", ".join(texts) or None


@click.command(
    epilog="""\b
Examples:
  trustedpods-provider restore provider.backup --look    # is it whole, whose is it, what would go where
  systemctl stop trustedpods-provider && trustedpods-provider restore provider.backup
""",
)
@config_option
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--look", is_flag=True, help="Check it and say where its files would go; change nothing.")
@click.option("--other-provider", is_flag=True, help="Also where the settings here are another provider's.")
@output_option
@explained
def restore(config_path: Path, file: Path, look: bool, other_provider: bool, output: str) -> None:
    """Put a backup back, for class `open`; the daemon must not run.

    What is replaced is kept beside the books. Every byte is checked before anything is changed. Killed, it is
    given the same file again: the daemon does not start before. Books of another day bill nothing twice: the
    chain pays a period once.
    """
    from datetime import UTC, datetime

    from trustedpods.provider.backups.restore import restore as put_back

    done = put_back(file, config_path, now=int(time.time()), other_provider=other_provider, look_only=look)
    facts: dict[str, object] = {
        "backup of": datetime.fromtimestamp(done.index.made, UTC).isoformat(),
        "provider": str(done.index.provider),
        "schema": done.index.schema_of_books,
        "files": _listed([str(path) for path in done.files], output),
        "restored": done.set_aside is not None,
        "what was there": str(done.set_aside) if done.set_aside else None,
    }
    show(facts, output)
    if done.set_aside is not None and output != "json":
        click.echo("now: systemctl start trustedpods-provider")
