# SPDX-License-Identifier: Apache-2.0
"""A chain of validators that agree on each block (CometBFT): the network's file, and its validators' keys.

What a validator signs with is made once, here: the first block names the validators. What nodes are known by
to each other is made in their machines. What a validator signed last is in a volume that is never restored.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from trustedpods.protocol.limits import MAX_CALLED_NODES

MAX_VALIDATORS: Final = MAX_CALLED_NODES + 1
"""Each calls all others."""

POWER: Final = 10
"""Of each validator in the first block: more than two thirds of all agree on a block."""

MAX_EVIDENCE_BLOCKS: Final = 100_000
MAX_EVIDENCE_NS: Final = 48 * 3600 * 10**9
"""For so long who signed twice can be shown to have done so, as CometBFT has it of itself."""

MAX_BLOCK: Final = 1_048_576
"""Bytes of a block: a node of 256 MiB holds several."""

IMAGES: Final = ("cometbft",)


@dataclass(frozen=True, slots=True)
class ValidatorKey:
    """What a validator signs blocks with, as hex digits, and its public half, which all may know."""

    private: str
    public: str


def validator_key() -> ValidatorKey:
    """A new one: 32 bytes each, `private` in hex, `public` in base64, as CometBFT writes it."""
    import base64  # noqa: PLC0415 - and cryptography, which no other verb needs
    import secrets  # noqa: PLC0415

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    seed = secrets.token_bytes(32)
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return ValidatorKey(seed.hex(), base64.b64encode(public).decode())


def genesis(validators: Mapping[str, str], begun: datetime) -> str:
    """What all nodes begin with: public keys of *validators* by name. Its chain is called by their hash."""
    import hashlib  # noqa: PLC0415

    named = hashlib.sha256("\n".join(sorted(validators.values())).encode()).hexdigest()[:16]
    limits = {
        "block": {"max_bytes": str(MAX_BLOCK), "max_gas": "-1"},
        "evidence": {
            "max_age_num_blocks": str(MAX_EVIDENCE_BLOCKS),
            "max_age_duration": str(MAX_EVIDENCE_NS),
            "max_bytes": str(MAX_BLOCK // 4),
        },
        "validator": {"pub_key_types": ["ed25519"]},
        "version": {"app": "0"},
        "abci": {"vote_extensions_enable_height": "0"},
    }
    keys = [
        {"name": name, "power": str(POWER), "pub_key": {"type": "tendermint/PubKeyEd25519", "value": public}}
        for name, public in validators.items()
    ]
    whole = {
        "genesis_time": begun.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "chain_id": f"chain-{named}",
        "initial_height": "1",
        "consensus_params": limits,
        "validators": keys,
        "app_hash": "",
    }
    return json.dumps(whole, indent=1)


def chain_files(validators: int) -> dict[str, str]:
    """The files of the network's folder, by name: the first block, each node's key, and its peers."""
    names = [f"node-{number}" for number in range(1, validators + 1)]
    keys = {name: validator_key() for name in names}
    files = {"genesis.json": genesis({name: key.public for name, key in keys.items()}, datetime.now(UTC))}
    for name, key in keys.items():
        files |= {f"validator-{name}": key.private, f"peers-{name}": peers(name, names)}
    return files


def peers(node: str, nodes: Sequence[str]) -> str:
    """Whom *node* calls, which are all of *nodes* but itself: a line each, `KEY HOST:PORT`.

    At names and ports that stay theirs, by keys that their machines made: a line comes when its key is known.
    """
    lines = [
        f"${{node.{one}.identity.hex}} ${{node.{one}.p2p.name}}:${{node.{one}.p2p.port}}\n"
        for one in nodes
        if one != node
    ]
    return "".join(lines)


def network_file(name: str, validators: int) -> str:
    """The Network manifest of a chain of so many *validators*, whose folder is called *name*."""
    return _NETWORK.replace("NAME", name).replace("VALIDATORS", str(validators))


_NETWORK: Final = """\
# SPDX-License-Identifier: Apache-2.0
# A chain of VALIDATORS validators by CometBFT, in any clusters, with a store of keys and values on it.
# Validators' keys, once: trustedpods network init NAME --kind cometbft --nodes VALIDATORS --keep
# Images beside it: python deploy/images/build.py cometbft --out FOLDER
#   data           blocks; may be backed up
#   signing-state  priv_validator_state.json: what a validator signed last. It must not go back, or two blocks
#                  of one height are signed: no backup has it, and none is restored into it (neverRestore)
#                  Volumes stay in their cluster: give a node another validator's key before it moves
apiVersion: trustedpods/v1
kind: Network
metadata: {name: NAME}
spec:
  nodes:
    - {name: node, template: node, placement: {}, replicas: VALIDATORS}
  templates:
    node:
      spec:
        workload: stateful
        replicas: 1
        terminationGracePeriodSeconds: 20
        network: {nodes: [node]}
        reload: {container: comet, exec: {command: [validator, call-peers]}}
        services:
          - {name: p2p, expose: nodePort, ports: [{port: 26656}]}
        containers:
          - name: comet
            image: oci-archive:cometbft.tar
            command: [validator, run, --proxy_app, persistent_kvstore]
            ports: [{containerPort: 26656}, {containerPort: 26657}]
            readinessProbe: {tcpSocket: {port: 26657}, periodSeconds: 2}
            resources: {limits: {cpu: 200m, memory: 256Mi, ephemeral-storage: 16Mi}}
            volumeMounts:
              - {name: data, mountPath: /data}
              - {name: signing-state, mountPath: /signed}
              - {name: keys, mountPath: /keys, readOnly: true}
        volumes:
          - {name: data, persistent: {size: 256Mi}}
          - {name: signing-state, persistent: {size: 16Mi, neverRestore: true}}
          - name: keys
            secret:
              rendered: [peers]
              onChange: reload
              generate: {nodekey: {type: ed25519, identity: true}}
              files:
                genesis.json: NAME/genesis.json
                validator: "NAME/validator-${self.name}"
                peers: "NAME/peers-${self.name}"
"""
