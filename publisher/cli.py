# SPDX-License-Identifier: Apache-2.0
"""The command `trustedpods`. Nothing but click is imported until a verb runs."""

import click

from trustedpods.publisher.commands import attest, market, money, networks, pods, watch
from trustedpods.publisher.commands.exec import execute, execute_in_node
from trustedpods.publisher.commands.images import push as images
from trustedpods.publisher.commands.manifests.convert import convert
from trustedpods.publisher.commands.manifests.explain import explain
from trustedpods.publisher.commands.manifests.init import init
from trustedpods.publisher.commands.network import contexts, files, members, network, whole
from trustedpods.publisher.commands.network.documents import history
from trustedpods.publisher.commands.running import history as history_of_pod
from trustedpods.publisher.commands.running.restart import restart
from trustedpods.publisher.commands.running.rollback import rollback
from trustedpods.publisher.commands.running.top import top
from trustedpods.publisher.commands.shell import completion as shell

EPILOG = """\b
Where things are:
  market   --market FILE, else $TRUSTEDPODS_MARKET, the context, ~/.config/trustedpods/market.toml
  key      --key FILE, else $TRUSTEDPODS_KEY, the context, ~/.config/trustedpods/key
  context  ~/.config/trustedpods/config.toml, written by `trustedpods context`

\b
Exit codes:
  0 done          4 no market or key    7 funds
  1 internal      5 locked              8 network or time-out
  2 bad input     6 refused             9 evidence refused
  3 a bill does not hold, or copies differ                     10 a plan has changes

\b
Examples:
  trustedpods provider list
  trustedpods estimate pod.yaml
  trustedpods deploy pod.yaml --deposit 12h
  trustedpods list
  trustedpods status web
  trustedpods bill web
"""


OTHER_WORDS = {
    "ls": "list",
    "ps": "list",
    "get": "list",
    "run": "deploy",
    "up": "deploy",
    "apply": "deploy",
    "down": "delete",
    "rm": "delete",
    "remove": "delete",
    "describe": "status",
    "inspect": "status",
    "import": "convert",
    "undo": "rollback",
    "topup": "fund",
    "invoice": "bill",
}
"""What the same is called elsewhere."""


class Verbs(click.Group):
    """Says what was meant when there is no such verb."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb; a usage error with the nearest one otherwise."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.commands, 1)
            meant = OTHER_WORDS.get(args[0], near[0] if near else None)
            if meant is None:
                raise
            text = f"no verb {args[0]!r}; did you mean `{ctx.command_path} {meant}`?"
            raise click.UsageError(text, ctx) from None


@click.group(
    cls=Verbs,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="trusted-pods", prog_name="trustedpods")
def main() -> None:
    """Run containers, privately, on machines that prove what they are."""


for verb in (
    pods.deploy,
    init,
    convert,
    pods.validate,
    explain,
    market.estimate,
    market.render,
    pods.list_,
    pods.status,
    pods.logs,
    execute,
    history_of_pod.events,
    history_of_pod.usage,
    top,
    restart,
    rollback,
    pods.delete,
    images.image,
    market.provider,
    attest.attest,
    watch.watch,
    money.fund,
    money.close,
    money.balance,
    money.bill,
    money.audit,
    networks.lock,
    networks.state,
    history,
    contexts.context,
    network.network,
    shell.completion,
    shell.help_,
    shell.version,
):
    main.add_command(verb)
for part in (
    files.init,
    files.render,
    members.member,
    members.lost_cluster,
    whole.endpoints,
    whole.logs,
    whole.fund,
    execute_in_node,
    history,
):
    network.network.add_command(part)
