# SPDX-License-Identifier: Apache-2.0
"""A chain whose signers take turns (Clique, EIP-225), on geth: the network's file, and its signers' accounts.

Accounts are made once, here: the first block names the signers for ever. What nodes are known by to each
other is made in their machines.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trustedpods.protocol.limits import MAX_CALLED_NODES

CHAIN_ID: Final = 4242
PERIOD_S: Final = 2
"""Between two blocks."""

BOOT: Final = "boot"
"""The node that signs nothing, and which all call first."""

MAX_SIGNERS: Final = MAX_CALLED_NODES - 1
"""The page's node calls all of them, and the first one."""

KEYSTORE_ROUNDS: Final = 4096
"""Of scrypt, as geth's --lightkdf: the password lies beside the keystore, in the same secret."""

BALANCE: Final = 10**24
FORKS: Final = (
    "homestead",
    "eip150",
    "eip155",
    "eip158",
    "byzantium",
    "constantinople",
    "petersburg",
    "istanbul",
    "berlin",
    "london",
)
"""Rules of the chain that hold from its first block: all that Clique knows."""

IMAGES: Final = ("geth", "height")


@dataclass(frozen=True, slots=True)
class SignerAccount:
    """What a node signs blocks with: its address, and its key as a keystore."""

    signer: str
    account: str


def signer_account(password: str) -> SignerAccount:
    """A new one, locked with *password*."""
    from eth_account import Account  # noqa: PLC0415 - 0.5 s that no other verb needs

    account = Account.create()
    locked = json.dumps(account.encrypt(password, iterations=KEYSTORE_ROUNDS))
    return SignerAccount(account.address, locked)


def genesis(signers: Sequence[str]) -> str:
    """The first block: who may sign (EIP-225: 32 bytes, signers in order, 65 bytes), and who has coins."""
    extra = "0x" + "00" * 32 + "".join(sorted(one[2:].lower() for one in signers)) + "00" * 65
    rules = {f"{fork}Block": 0 for fork in FORKS}
    return json.dumps(
        {
            "config": {"chainId": CHAIN_ID, **rules, "clique": {"period": PERIOD_S, "epoch": 30_000}},
            "difficulty": "0x1",
            "gasLimit": hex(30_000_000),
            "extradata": extra,
            "alloc": {one: {"balance": hex(BALANCE)} for one in signers},
        },
        indent=1,
    )


def chain_files(signers: int) -> dict[str, str]:
    """The files of the network's folder, by name: the first block, each node's account, and its peers."""
    names = [f"node-{number}" for number in range(1, signers + 1)]
    files = signing_files([BOOT, *names], names)
    accounts = {name: files[f"signer-{name}"] for name in names}
    files |= {f"signers-{name}": votes(name, accounts) for name in (BOOT, *names)}
    return files | {f"peers-{name}.toml": peers(name, [BOOT, *names]) for name in (BOOT, *names, "web")}


def signing_files(nodes: Sequence[str], signers: Sequence[str]) -> dict[str, str]:
    """An account for each of *nodes*, and a first block in which those of *signers* sign."""
    import secrets  # noqa: PLC0415 - 0.1 s that no other verb needs

    password = secrets.token_hex(16)
    accounts = {name: signer_account(password) for name in nodes}
    files = {"password": password, "genesis.json": genesis([accounts[name].signer for name in signers])}
    for name, own in accounts.items():
        files |= {f"account-{name}": own.account, f"signer-{name}": own.signer}
    return files


def peers(node: str, nodes: Sequence[str]) -> str:
    """Geth's configuration: those of *nodes* that *node* calls, which are all but itself.

    At names and ports that stay theirs, by keys that their machines made: a line comes when its key is known.
    """
    lines = [
        f'  "enode://${{node.{one}.identity.enodeId}}@${{node.{one}.p2p.name}}:${{node.{one}.p2p.port}}",'
        for one in nodes
        if one != node
    ]
    return "\n".join(["[Node.P2P]", "StaticNodes = [", *lines, "]", ""])


def votes(node: str, signers: Mapping[str, str]) -> str:
    """For whom *node* votes: accounts of *signers*, by node, but its own, each while its node is in the book.

    A line goes when its node does: then the image's reload hook votes against the account that it had.
    """
    lines = [f"{signers[one]} ${{node.{one}.identity.hex}}" for one in signers if one != node]
    return "\n".join(["# who signs, while its node is there", *lines, ""])


def network_file(name: str, signers: int) -> str:
    """The Network manifest of a chain of so many *signers*, whose folder is called *name*."""
    return _NETWORK.replace("NAME", name).replace("SIGNERS", str(signers))


_NETWORK: Final = """\
# SPDX-License-Identifier: Apache-2.0
# A chain that SIGNERS nodes sign by Clique, in any clusters; boot signs nothing, web shows how high it is.
# Signers' accounts, once: trustedpods network init NAME --kind clique --nodes SIGNERS --keep
# Images beside it: python deploy/images/build.py geth height --out FOLDER
apiVersion: trustedpods/v1
kind: Network
metadata: {name: NAME}
spec:
  nodes:
    - {name: boot, template: node, placement: {}}
    - {name: node, template: node, placement: {}, replicas: SIGNERS, dependsOn: [boot]}
    - {name: web, template: web, placement: {}, dependsOn: [node]}
  probes:
    - {name: blocks-grow, node: boot, container: geth, exec: {command: [blocks-grow]}, timeoutSeconds: 120}
  templates:
    node:
      spec:
        workload: stateful
        replicas: 1
        terminationGracePeriodSeconds: 20
        network: {nodes: [boot, node]}
        reload: {container: geth, exec: {command: [call-peers]}}
        services:
          - {name: p2p, expose: nodePort, ports: [{port: 30303}]}
        initContainers:
          - name: fill
            image: oci-archive:geth.tar
            command: [fill-node]
            env: [{name: ORDINAL, value: "0"}]
            resources: {limits: {cpu: 200m, memory: 192Mi, ephemeral-storage: 16Mi}}
            volumeMounts: [{name: data, mountPath: /data}, {name: keys, mountPath: /keys, readOnly: true}]
        containers:
          - name: geth
            image: oci-archive:geth.tar
            command: [run-node]
            args: [--networkid, "4242", --nodiscover, --nodekey, /keys/nodekey, --config, /keys/peers.toml]
            ports: [{containerPort: 30303}, {containerPort: 8545}]
            readinessProbe: {tcpSocket: {port: 8545}, periodSeconds: 2}
            resources: {limits: {cpu: 200m, memory: 256Mi, ephemeral-storage: 16Mi}}
            volumeMounts: [{name: data, mountPath: /data}, {name: keys, mountPath: /keys, readOnly: true}]
        volumes:
          - {name: data, persistent: {size: 256Mi}}
          - name: keys
            secret:
              rendered: [peers.toml, signers]
              onChange: reload
              generate: {nodekey: {type: secp256k1, identity: true}}
              files:
                password: NAME/password
                genesis.json: NAME/genesis.json
                peers.toml: "NAME/peers-${self.name}.toml"
                signers: "NAME/signers-${self.name}"
                account-0: "NAME/account-${self.name}"
                signer-0: "NAME/signer-${self.name}"
    web:
      spec:
        scale: {min: 1, max: 1}
        network: {nodes: [boot, node]}
        reload: {container: geth, exec: {command: [call-peers]}}
        services:
          - {name: web, expose: http, ports: [{port: 80, targetPort: 3000}]}
        initContainers:
          - name: first-block
            image: oci-archive:geth.tar
            command: [geth, --datadir, /data, init, /keys/genesis.json]
            resources: {limits: {cpu: 200m, memory: 192Mi, ephemeral-storage: 16Mi}}
            volumeMounts: [{name: data, mountPath: /data}, {name: keys, mountPath: /keys, readOnly: true}]
        containers:
          - name: web
            image: oci-archive:height.tar
            env: [{name: RPC, value: "http://127.0.0.1:8545"}]
            ports: [{containerPort: 3000}]
            readinessProbe: {httpGet: {path: /height, port: 3000}, periodSeconds: 2}
            resources: {limits: {cpu: 50m, memory: 32Mi, ephemeral-storage: 16Mi}}
          - name: geth
            image: oci-archive:geth.tar
            command: [geth, --datadir, /data, --config, /keys/peers.toml, --networkid, "4242", --nodiscover]
            args: [--syncmode, full, --authrpc.port, "0", --http]
            resources: {limits: {cpu: 200m, memory: 256Mi, ephemeral-storage: 16Mi}}
            volumeMounts: [{name: data, mountPath: /data}, {name: keys, mountPath: /keys, readOnly: true}]
        volumes:
          - {name: data, emptyDir: {sizeLimit: 128Mi}}
          - name: keys
            secret:
              rendered: [peers.toml]
              onChange: reload
              files: {genesis.json: NAME/genesis.json, peers.toml: NAME/peers-web.toml}
"""
