# SPDX-License-Identifier: Apache-2.0
"""Rules about networks of pods: their team, leases, copies and books of addresses."""

from trustedpods.protocol.rules.rule import Rule

_STATE = "`trustedpods state show NAME` shows each cluster's copy"
_OWNER = "ask an owner of the network"

NETWORKS = {
    "backup": Rule("the backup is not signed by a member who may take one", "give another backup"),
    "clusters": Rule(
        "the clusters that are named are not those of the network", "`trustedpods network connect NAME`"
    ),
    "copies": Rule(
        "the copies of the network's document are unequal", _STATE + ", `state repair` makes them equal"
    ),
    "document": Rule("a copy of the document is not whole", _STATE),
    "epoch": Rule(
        "the state's epoch, or an address book's, is far ahead of the clock, or goes back",
        "look at the clocks; `trustedpods state backup`, then `state restore` of it, begins a sane epoch",
    ),
    "export": Rule(
        "what another owner signed of his nodes is not taken here", "ask him for a new `network export`"
    ),
    "genesis": Rule(
        "a file that all owners must share is another one here", "take the file that came with the invitation"
    ),
    "go-back": Rule(
        "the backup would undo changes", "`--go-back` takes it all the same, after a backup of now"
    ),
    "invitation": Rule(
        "an invitation, or the answer to one, does not stand", "`trustedpods network invite` makes another"
    ),
    "kube-access": Rule(
        "the kubeconfig may not reach the daemon in that cluster",
        "ask who looks after the cluster for the rights (docs/operator.md)",
    ),
    "lease": Rule("somebody else changes the network now", "`--wait 10m` waits for it"),
    "lease-lost": Rule(
        "the lease ran out before the command had ended", "run it again: it goes on where it was"
    ),
    "lost-nodes": Rule(
        "nodes of a cluster that was declared lost would come anew, without what their volumes had",
        "`trustedpods network plan` says what each begins with; `network apply --replace-lost` does it",
    ),
    "member": Rule(
        "this key is no member of the network", _OWNER + " to let you in, with your `network card`"
    ),
    "members": Rule("the change of the team cannot stand", _OWNER),
    "network": Rule("a request is about another network", "look at NAME, or write FOUNDER/NAME"),
    "network-probe": Rule(
        "the nodes serve, and a probe of the Network's file did not hold within its limit",
        "`trustedpods network status` and `network logs` say how they are; `network apply` asks again",
    ),
    "networks": Rule(
        "the provider keeps as many networks as it takes", "choose another provider for a cluster"
    ),
    "closed-node": Rule(
        "a node that would be called is at an address that the caller's provider keeps closed",
        "place one of them at another provider, or ask that provider's operator to open `peers`",
    ),
    "no-market": Rule(
        "the daemon of that cluster keeps documents of networks, and takes no pods",
        "name another cluster for the node",
    ),
    "no-network": Rule(
        "these clusters keep no network of that name", "`trustedpods network connect` begins one"
    ),
    "not-known": Rule(
        "nobody has said yet where a node is reached", "`trustedpods network apply`, then again"
    ),
    "other-book": Rule(
        "the pod has other addresses of the same generation of its network's state",
        "`trustedpods network apply` again",
    ),
    "publisher": Rule("another member's key runs that node", "that member applies the file"),
    "reload": Rule(
        "a replica's hook did not take its new files, which are in place",
        "mend the hook; `trustedpods network apply` runs it again",
    ),
    "unreadable": Rule(
        "a member signed a state that is none",
        "an owner lets a backup follow it: `trustedpods state restore NAME FILE --go-back`",
    ),
    "role": Rule("your role does not allow that", _OWNER),
    "schema": Rule("another version of the client wrote the state", "use that version, or `state migrate`"),
    "stale-book": Rule(
        "the pod has other addresses of its network than these", "`trustedpods network apply` again"
    ),
    "taken-over": Rule(
        "another daemon took the provider's books over", "run the command again: the other one answers"
    ),
    "ticket": Rule("a place in the line for the lease is not known any more", "run it again"),
    "unreachable": Rule(
        "a cluster of the network does not answer", "run it again; an owner can say that it is lost"
    ),
    "unsure-write": Rule(
        "a write to the provider's books had been made after all",
        "run the command again: its daemon starts anew",
    ),
    "writer": Rule("who wrote the state may not", _STATE + ", and look at the team"),
}
