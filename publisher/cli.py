# SPDX-License-Identifier: Apache-2.0
"""The command `trustedpods`. Nothing but click is imported until a verb runs."""

from typing import NoReturn

import click

from trustedpods.publisher.commands.shell import process
from trustedpods.publisher.commands.shell.verbs import LazyVerb, LazyVerbs

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
  11 a provider's books, or a place of backups, fail          12 a pod's program fails

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
    "scale": "deploy",
    "launch": "deploy",
    "create": "deploy",
    "plan": "deploy",
    "diff": "deploy",
    "new": "init",
    "kill": "delete",
    "destroy": "delete",
    "pause": "stop",
    "unpause": "start",
    "resume": "start",
    "ssh": "exec",
    "shell": "exec",
    "attach": "exec",
    "proxy": "port-forward",
    "sftp": "cp",
    "stats": "top",
    "tail": "logs",
    "config": "context",
    "refund": "close",
    "pay": "fund",
}
"""What the same is called elsewhere."""


VERBS = {
    "deploy": LazyVerb(
        "pods:deploy", "Run the pod of a manifest FILE at the cheapest provider that matches and answers."
    ),
    "init": LazyVerb(
        "manifests.init:init",
        "Write a manifest for IMAGE, written as for `deploy`, from what its configuration says.",
    ),
    "convert": LazyVerb(
        "manifests.convert:convert",
        "Write a manifest for a Compose FILE, or for a pod of the Go implementation.",
    ),
    "validate": LazyVerb(
        "pods:validate", "Check a Pod's or a Network's FILE, the secrets and the images that it names."
    ),
    "explain": LazyVerb(
        "manifests.explain:explain",
        "What may stand in a FIELD of a manifest: its type, default and bounds, and the fields in it.",
    ),
    "estimate": LazyVerb(
        "market:estimate",
        "What the pod of a manifest FILE would cost at each provider that `deploy` would ask.",
    ),
    "render": LazyVerb(
        "market:render", "The Kubernetes objects that the pod of a manifest FILE becomes, as YAML."
    ),
    "list": LazyVerb(
        "pods:list_",
        "All pods of the key: what they do, where they are reached, what they cost, how "
        "long their money lasts.",
    ),
    "status": LazyVerb(
        "pods:status", "What the pod NAME does, where it is reached, and how long its money lasts."
    ),
    "logs": LazyVerb(
        "streams.logs:logs",
        "What a container of the pod NAME wrote; where no replica runs, what the last one did.",
    ),
    "exec": LazyVerb(
        "exec:execute",
        "Run CMD in a container of the pod NAME that runs; wake a pod that sleeps first.",
    ),
    "open": LazyVerb("page.open:open_", "Open the address of the pod NAME in a browser of this machine."),
    "port-forward": LazyVerb(
        "streams.port_forward:port_forward",
        "Connect ports of this machine to ports of the pod NAME that its manifest declares, until Ctrl-C.",
    ),
    "cp": LazyVerb(
        "streams.copying:cp",
        "Copy a file or folder out of a pod that runs, or into it: one of SOURCE and TARGET is NAME:/path.",
    ),
    "events": LazyVerb(
        "running.history:events", "What happened to the pod NAME, oldest first, as its provider remembers it."
    ),
    "usage": LazyVerb(
        "running.history:usage",
        "What the pod NAME used, by day, what that cost, and what a month costs at this rate.",
    ),
    "top": LazyVerb(
        "running.top:top",
        "Replicas of all pods or of NAME now, the CPU and memory that they hold, and how "
        "long the money lasts.",
    ),
    "restart": LazyVerb(
        "running.restart:restart",
        "Start the pod NAME anew, with all its containers, from the bundle that its provider has.",
    ),
    "stop": LazyVerb(
        "running.stopping:stop",
        "Let the pod NAME have no replica until `start`; its volumes, address and money stay.",
    ),
    "start": LazyVerb("running.stopping:start", "Let the pod NAME run again, which `stop` stopped."),
    "rollback": LazyVerb(
        "running.rollback:rollback",
        "Let an earlier version of the pod NAME run again: the one before, or that of GENERATION.",
    ),
    "backup": LazyVerb(
        "running.backup:backup",
        "Back up the persistent volumes of the pod NAME, which runs, into a folder or a bucket of S3.",
    ),
    "restore": LazyVerb(
        "running.backup:restore",
        "Fill new volumes of the pod NAME from BACKUP, or from the newest one there is.",
    ),
    "delete": LazyVerb("pods:delete", "Remove the pod NAME; what is left of its deposit comes back at once."),
    "image": LazyVerb("images.push:image", "Images of pods, without their pods."),
    "provider": LazyVerb("market:provider", "Look at the providers of the market."),
    "attest": LazyVerb(
        "attest:attest",
        "Ask a provider for proof of what it is, and judge it; or judge proof that was saved.",
    ),
    "ui": LazyVerb("page.ui:ui", "Show the market and your pods in a browser of this machine, until Ctrl-C."),
    "watch": LazyVerb(
        "watch:watch", "Look after the pods that were deployed from here, or after those NAMEd."
    ),
    "fund": LazyVerb(
        "money:fund", "Add AMOUNT to the channel of the pod NAME: tokens (2.5), or a duration (7d)."
    ),
    "close": LazyVerb("money:close", "Get the deposit of the pod NAME back without its provider's help."),
    "withdraw": LazyVerb(
        "money:withdraw",
        "Get what the payment contract owes the key's address: refunds that could not be paid at once.",
    ),
    "balance": LazyVerb(
        "money:balance",
        "Tokens and gas of the key's address, and its channels with what is in them or came back.",
    ),
    "bill": LazyVerb(
        "money:bill", "What the pod NAME cost: computed here from signed usage, and compared with the chain."
    ),
    "audit": LazyVerb(
        "money:audit",
        "Recompute what the pod NAME cost, and hold every claim of its provider against the chain.",
    ),
    "lock": LazyVerb("networks:lock", "Leases of a network: who may change it now."),
    "state": LazyVerb(
        "network.documents:state", "Copies of a network's document: one in each of its clusters."
    ),
    "history": LazyVerb(
        "network.documents:history", "Who ran which command on the network NAME, when, and what came of it."
    ),
    "context": LazyVerb(
        "network.contexts:context",
        "Contexts: which market and key are meant, and which provider each cluster's name is.",
    ),
    "network": LazyVerb(
        "network.group:network", "Networks of pods: files that several people apply to several clusters."
    ),
    "completion": LazyVerb(
        "shell.completion:completion",
        "Print what makes SHELL complete verbs, options, and names of pods and providers.",
    ),
    "schema": LazyVerb(
        "shell.schema:schema", "The JSON schema (2020-12) of what VERB prints with -o json, done or failed."
    ),
    "help": LazyVerb("shell.completion:help_", "Show what --help of a VERB shows."),
    "version": LazyVerb("shell.completion:version", "Which version of the command this is."),
}
"""By name: where it is, and the first sentence of its help, which a test holds the same."""


@click.group(
    cls=LazyVerbs,
    table=VERBS,
    other_words=OTHER_WORDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="trusted-pods", prog_name="trustedpods")
def main() -> None:
    """Run containers, privately, on machines that prove what they are."""


def run() -> NoReturn:
    """What a shell starts."""
    process.run(main)
