# SPDX-License-Identifier: Apache-2.0
"""`network`, complete: its verbs stand in several modules, each imported when one of it is asked for."""

import click

from trustedpods.publisher.commands.shell.verbs import LazyVerb, LazyVerbs

NETWORK_VERBS = {
    "accept": LazyVerb(
        "network.owners:accept",
        "Let the guest in who answered your invitation into FILE's network, and print the word for him.",
    ),
    "apply": LazyVerb(
        "network.network:apply",
        "Bring a network to what FILE says: its team, then its nodes, side by side as far as they may.",
    ),
    "card": LazyVerb(
        "network.network:card", "Print your card: an owner names it in a network's file to let you in."
    ),
    "backup": LazyVerb(
        "network.whole:backup",
        "Back up the persistent volumes of your nodes of the network NAME, or of those that are named.",
    ),
    "connect": LazyVerb(
        "network.network:connect",
        "Begin the network NAME in its clusters, with you as its owner; or see that you reach it.",
    ),
    "delete": LazyVerb(
        "network.network:delete", "Remove every node of the network NAME, then its documents."
    ),
    "endpoints": LazyVerb("network.whole:endpoints", "Where every node of the network NAME is reached."),
    "exec": LazyVerb(
        "exec:execute_in_node", "Run CMD in NODE of the network NAME, as `trustedpods exec` does in a pod."
    ),
    "export": LazyVerb(
        "network.owners:export",
        "Print the nodes of FILE's network, signed, for another owner: names, addresses, identities, hashes.",
    ),
    "fund": LazyVerb(
        "network.whole:fund",
        "Pay AMOUNT for your nodes of the network NAME: a duration for each, or tokens, split as "
        "their caps are.",
    ),
    "history": LazyVerb(
        "network.documents:history", "Who ran which command on the network NAME, when, and what came of it."
    ),
    "import": LazyVerb(
        "network.owners:import_",
        "Take another owner's export into the network NAME: his nodes are ALIAS-NODE here.",
    ),
    "init": LazyVerb(
        "network.files:init",
        "Write a network's first file, NAME.yaml, and the folder NAME with its nodes' keys, here.",
    ),
    "invite": LazyVerb(
        "network.owners:invite", "Print an invitation into FILE's network for one other owner."
    ),
    "join": LazyVerb(
        "network.owners:join",
        "Take an invitation into your own network: FILE's, or one of the same name, begun where "
        "there is none.",
    ),
    "leave": LazyVerb(
        "network.owners:leave",
        "Close the link of the network NAME to the owner ALIAS, and print the word that tells him.",
    ),
    "list": LazyVerb(
        "network.network:list_networks",
        "All networks that the clusters keep, by founder and name, also those of others.",
    ),
    "logs": LazyVerb(
        "network.whole:logs", "The last lines of your nodes of the network NAME, or of those that are named."
    ),
    "lost": LazyVerb(
        "network.members:lost_cluster", "Declare each CLUSTER of the network NAME lost, all at once."
    ),
    "member": LazyVerb(
        "network.members:member",
        "Members of a network: a viewer reads, an operator changes pods, an owner changes members too.",
    ),
    "plan": LazyVerb(
        "network.network:plan", "What an apply of FILE would change now; exit code 10 where that is anything."
    ),
    "render": LazyVerb(
        "network.files:render",
        "What each NODE of a network's FILE becomes (or all of them): its pod's manifest, as YAML.",
    ),
    "status": LazyVerb(
        "network.network:status",
        "All nodes of the network NAME: what the document says, and what their providers say of yours.",
    ),
}
"""As `cli.VERBS`."""


@click.group(cls=LazyVerbs, table=NETWORK_VERBS, other_words={})
def network() -> None:
    """Networks of pods: files that several people apply to several clusters."""
