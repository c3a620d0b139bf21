# SPDX-License-Identifier: Apache-2.0
"""A chain whose signers take turns (Clique, EIP-225), on geth: the network's file, and its keys.

Keys are made once: the first block names the signers for ever.
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
class NodeKeys:
    """A node's own: by `node_key` (64 hex digits) others know it, with `account` (a keystore) it signs."""

    node_key: str
    signer: str
    account: str

    @property
    def public(self) -> str:
        """What others know the node by: 128 hex digits, as they stand in an enode's URL."""
        from eth_keys.datatypes import PrivateKey  # noqa: PLC0415 - 0.2 s that no other verb needs

        return str(PrivateKey(bytes.fromhex(self.node_key)).public_key.to_hex().removeprefix("0x"))


def node_keys(password: str) -> NodeKeys:
    """New ones; the account is locked with *password*."""
    import secrets  # noqa: PLC0415 - with the next one

    from eth_account import Account  # noqa: PLC0415 - 0.5 s that no other verb needs

    account = Account.create()
    locked = json.dumps(account.encrypt(password, iterations=KEYSTORE_ROUNDS))
    return NodeKeys(secrets.token_hex(32), account.address, locked)


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
    """The files of the network's folder, by name: the first block, and for each node its keys and peers."""
    import secrets  # noqa: PLC0415 - as in node_keys

    password = secrets.token_hex(16)
    names = [f"node-{number}" for number in range(1, signers + 1)]
    keys = {name: node_keys(password) for name in (BOOT, *names)}
    files = {"password": password, "genesis.json": genesis([keys[name].signer for name in names])}
    for name, own in keys.items():
        files |= {f"nodekey-{name}": own.node_key, f"account-{name}": own.account}
        files |= {f"signer-{name}": own.signer}
    for name in (*keys, "web"):
        files[f"peers-{name}.toml"] = peers({one: key for one, key in keys.items() if one != name})
    return files


def peers(keys: Mapping[str, NodeKeys]) -> str:
    """Geth's configuration: the nodes that it calls, at the names and ports that stay theirs."""
    lines = [
        f'  "enode://{own.public}@${{node.{one}.p2p.name}}:${{node.{one}.p2p.port}}",'
        for one, own in keys.items()
    ]
    return "\n".join(["[Node.P2P]", "StaticNodes = [", *lines, "]", ""])


def network_file(name: str, signers: int) -> str:
    """The Network manifest of a chain of so many *signers*, whose folder is called *name*."""
    return _NETWORK.replace("NAME", name).replace("SIGNERS", str(signers))


_NETWORK: Final = """\
# SPDX-License-Identifier: Apache-2.0
# A chain that SIGNERS nodes sign by Clique, in any clusters; boot signs nothing, web shows how high it is.
# Keys, once: trustedpods network init NAME --kind clique --nodes SIGNERS --keep
# Images beside it: python deploy/images/build.py geth height --out FOLDER
apiVersion: trustedpods/v1
kind: Network
metadata: {name: NAME}
spec:
  nodes:
    - {name: boot, template: node, placement: {}}
    - {name: node, template: node, placement: {}, replicas: SIGNERS, dependsOn: [boot]}
    - {name: web, template: web, placement: {}, dependsOn: [node]}
  templates:
    node:
      spec:
        workload: stateful
        replicas: 1
        terminationGracePeriodSeconds: 20
        network: {nodes: [boot, node]}
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
            args: [--networkid, "4242", --nodiscover, --config, /keys/peers.toml]
            ports: [{containerPort: 30303}, {containerPort: 8545}]
            readinessProbe: {tcpSocket: {port: 8545}, periodSeconds: 2}
            resources: {limits: {cpu: 200m, memory: 256Mi, ephemeral-storage: 16Mi}}
            volumeMounts: [{name: data, mountPath: /data}, {name: keys, mountPath: /keys, readOnly: true}]
        volumes:
          - {name: data, persistent: {size: 256Mi}}
          - name: keys
            secret:
              rendered: [peers.toml]
              files:
                password: NAME/password
                genesis.json: NAME/genesis.json
                peers.toml: "NAME/peers-${self.name}.toml"
                nodekey-0: "NAME/nodekey-${self.name}"
                account-0: "NAME/account-${self.name}"
                signer-0: "NAME/signer-${self.name}"
    web:
      spec:
        scale: {min: 1, max: 1}
        network: {nodes: [boot, node]}
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
            args: [--syncmode, full, --ipcdisable, --authrpc.port, "0", --http]
            resources: {limits: {cpu: 200m, memory: 256Mi, ephemeral-storage: 16Mi}}
            volumeMounts: [{name: data, mountPath: /data}, {name: keys, mountPath: /keys, readOnly: true}]
        volumes:
          - {name: data, emptyDir: {sizeLimit: 128Mi}}
          - name: keys
            secret:
              rendered: [peers.toml]
              files: {genesis.json: NAME/genesis.json, peers.toml: NAME/peers-web.toml}
"""
