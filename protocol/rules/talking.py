# SPDX-License-Identifier: Apache-2.0
"""Rules about what is said over the network, and by machines that are not as they must be."""

from trustedpods.protocol.rules.rule import Rule

_AGAIN = "run it again"
_BROKEN = "run it again; where it stays, the provider is broken or hostile: choose another"
_CLOCK = "look at this machine's clock, then run it again"
_ANEW = "run it again: the provider is attested anew"
_NODE = "use another chain node (`rpc` of the market file), or wait for this one"
_OPERATOR = "of the operator's machine: the message says what it lacks"

TALKING = {
    "acme": Rule("an authority did not give the provider's certificate, or a proof to it failed", _OPERATOR),
    "address": Rule(
        "an address of the network cannot be used", "look at the provider's row: `provider list`"
    ),
    "addresses": Rule(
        "no addresses are free for one more localnet", "take one down: `trustedpods-localnet down`"
    ),
    "blob-ack": Rule("the provider counts what it received wrongly", _BROKEN),
    "boot-id": Rule("the provider was restarted meanwhile", _ANEW),
    "cgroups": Rule("the machine has no control groups for an embedded cluster", _OPERATOR),
    "chip-digest": Rule("another machine answers than the one in the registry", _BROKEN),
    "connect": Rule("the peer cannot be reached", _AGAIN + "; look at your own network"),
    "copy-unsafe": Rule(
        "what a pod sent as files is no honest archive, and what came was thrown away",
        "look at what runs in the pod",
    ),
    "cut": Rule("the connection ended in the middle", _AGAIN),
    "end": Rule("the other side ended the conversation in the middle", _AGAIN + ": it goes on where it was"),
    "exec-end": Rule("the provider did not end a command as it must", _BROKEN),
    "exec-input": Rule("input came where none belongs", _BROKEN),
    "exec-output": Rule("the provider sent an empty piece of output", _BROKEN),
    "exec-window": Rule("one side sent more than the other had room for", _BROKEN),
    "expired": Rule("the request came too late", _CLOCK),
    "expiry-too-far": Rule("the request would hold too long", _CLOCK),
    "gone": Rule(
        "the connection to the other side was lost",
        _AGAIN + ": it goes on where it was; look at your network",
    ),
    "haproxy": Rule("the facade's HAProxy did not do what it was told", _OPERATOR),
    "hpke-key": Rule("a key to seal with is none", _ANEW),
    "identity": Rule("the daemon's identity is not as the registry wants it", _OPERATOR),
    "immutable": Rule(
        "Kubernetes does not change that field of an object", "delete the pod, then deploy it anew"
    ),
    "input-seal": Rule("input of a command cannot be opened", _ANEW),
    "kernel": Rule("the kernel's limits are too low for one more cluster", _OPERATOR),
    "needs": Rule("the provider asks for what is not the pod's", _BROKEN),
    "no-figures": Rule(
        "the provider says nothing of its service", "an older provider never does; else " + _AGAIN
    ),
    "no-statement": Rule("the provider ended without a confirmation", _AGAIN + "; `status` says what serves"),
    "node": Rule("the chain's node failed", _NODE),
    "nodes-disagree": Rule(
        "too few nodes of the chain say the same of it",
        "`trustedpods-provider doctor` says which is silent or differs",
    ),
    "not-removed": Rule(
        "the provider did not remove the pod", "`trustedpods close NAME` gets the deposit back"
    ),
    "operator-signature": Rule(
        "an operator's question is not signed for this daemon by a key that may ask",
        "name the owner's settings with `--config`, and the address of the daemon's present boot",
    ),
    "operator-verb": Rule(
        "the operator's verb, or a field of it, is not answered from outside the machine",
        "leave it out, or ask on the machine itself",
    ),
    "other-provider": Rule(
        "the backup is of another provider than the settings here",
        "look at the file; `--other-provider` puts it in this one's place",
    ),
    "output-seal": Rule("output of a conversation cannot be opened", _BROKEN),
    "owner": Rule("the request is for another provider", "look at the provider's row: `provider list`"),
    "peer-id": Rule("who answered is not the one that was dialled", _BROKEN),
    "policy": Rule(
        "the policy accepts no such provider", "`--policy` names another, `--trust open` allows open ones"
    ),
    "profile-class": Rule("the provider lists another class than it proves", _BROKEN),
    "profile-digest": Rule("the provider's profile is not the one in the registry", _BROKEN),
    "profile-owner": Rule("the provider's profile is that of another", _BROKEN),
    "ports": Rule("no port is free on the loopback", "end what holds them"),
    "registered": Rule("the row is in the registry already", _OPERATOR),
    "registry": Rule("the provider's image registry failed", "try again later, or choose another provider"),
    "release-clock": Rule("the release file of measurements is of a day to come", _CLOCK),
    "release-expired": Rule(
        "the release file of measurements is too old to be trusted",
        "install the newest version of the client",
    ),
    "release-forged": Rule(
        "no release key signed this file of measurements", "take the file from the maintainers again"
    ),
    "release-fork": Rule(
        "two release files of measurements have different pasts",
        "ask the maintainers, by another way, which one is theirs; use neither before",
    ),
    "release-keys": Rule(
        "this client has no keys to check a release file of measurements with",
        "list measurements in a policy of your own, or install a newer version",
    ),
    "release-minimum": Rule(
        "the newest release file of measurements is older than the policy demands",
        "install the newest version of the client",
    ),
    "release-missing": Rule(
        "there is no release file of measurements here",
        "list measurements in a policy of your own, or install a newer version",
    ),
    "release-older": Rule(
        "a release file of measurements is older than one that was seen here before",
        "take it away: the newer one stays in use",
    ),
    "replay": Rule("the request was seen before", _AGAIN),
    "reply-sequence": Rule("an answer is missing", _BROKEN),
    "reply-signature": Rule("an answer is not the attested machine's", _BROKEN),
    "request-size": Rule("the request is too long", "make the manifest or its secrets smaller"),
    "reset": Rule("the other side broke off the conversation", _BROKEN),
    "restore-unfinished": Rule(
        "a restore of the provider's books was begun, and they are half there",
        "give `trustedpods-provider restore` the same file again",
    ),
    "root": Rule("an embedded cluster needs root", "run as root, or with `--existing KUBECONFIG`"),
    "sealed": Rule("what was sealed does not open", _ANEW),
    "sealed-backup": Rule(
        "books of an attested machine are not taken out of it, nor older ones put back",
        "make the machine anew from its image: publishers' clients release their pods to it",
    ),
    "select-time": Rule("no provider answered in time", _AGAIN + ", or name one with `--provider`"),
    "signature": Rule("a signature is malformed", _AGAIN + " with the newest version"),
    "signer": Rule("the request is signed by another key", "use the publisher's key"),
    "spool": Rule("what the provider kept of an upload is damaged", _AGAIN),
    "stall": Rule("the peer took nothing for a while", _AGAIN),
    "statement-*": Rule("the provider confirms something else than was sent", _BROKEN),
    "statement-channel": Rule("the provider's statement is about another pod", _BROKEN),
    "store-damaged": Rule(
        "the provider's books, or a copy of them, cannot be read",
        "stop the daemon and put back a copy of the books (docs/operator.md)",
    ),
    "system": Rule("an embedded cluster needs Linux", "use `--existing KUBECONFIG`"),
    "taken": Rule("Kubernetes gave that number to somebody else", _AGAIN),
    "timeout": Rule("there was no answer in time", _AGAIN),
    "unsealed": Rule("an answer was not sealed", _BROKEN),
}
