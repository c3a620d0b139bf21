# SPDX-License-Identifier: Apache-2.0
"""`completion`, `help` and `version`, and the names that a shell is offered."""

import os
from collections.abc import Iterable

import click

from trustedpods.publisher.commands.options import Common, Run, common

PROGRAM = "trustedpods"
VARIABLE = "_TRUSTEDPODS_COMPLETE"
"""In which a shell's function says that it asks for completions: click's own name for it."""


def complete_pod(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Pods that were opened from this machine, whether they still run or not."""
    from trustedpods.publisher.context import state_dir
    from trustedpods.publisher.state.names import known_names

    return _beginning(known_names(state_dir()).values(), begun)


def complete_provider(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Providers that a context knows a cluster of."""
    from trustedpods.protocol.errors import TrustedPodsError
    from trustedpods.publisher.contexts import load_contexts

    try:
        contexts = load_contexts(os.environ).named.values()
    except TrustedPodsError:
        return []  # a line that is being typed is no place for an error: the verb says it
    return _beginning((provider for one in contexts for provider in one.clusters.values()), begun)


def _beginning(names: Iterable[str], begun: str) -> list[str]:
    return sorted({name for name in names if name.startswith(begun) and name.isprintable()})


@click.command(
    epilog="""\b
Examples:
  eval "$(trustedpods completion bash)"
  trustedpods completion zsh > ~/.zfunc/_trustedpods
  trustedpods completion fish > ~/.config/fish/completions/trustedpods.fish
"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete verbs, options, and names of pods and providers.

    Names are those that this machine knows: nobody is asked.
    """
    from click.shell_completion import get_completion_class

    maker = get_completion_class(shell)
    assert maker is not None, shell
    click.echo(maker(context.find_root().command, {}, PROGRAM, VARIABLE).source())


@click.command(
    name="help",
    epilog="""\b
Examples:
  trustedpods help
  trustedpods help provider list
""",
)
@click.argument("verb", nargs=-1)
@click.pass_context
def help_(context: click.Context, verb: tuple[str, ...]) -> None:
    """Show what --help of a VERB shows."""
    root = context.find_root()
    root.command.main([*verb, "--help"], prog_name=root.info_name, standalone_mode=False)


@click.command(
    epilog="""\b
Examples:
  trustedpods version
  trustedpods version -o json
"""
)
@common
def version(options: Common) -> None:
    """Which version of the command this is."""
    from importlib.metadata import version as installed

    Run(options).guard(
        lambda: installed("trusted-pods"),
        lambda found: [f"{PROGRAM} {found}"],
        lambda found: {"version": found},
    )
