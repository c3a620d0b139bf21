# SPDX-License-Identifier: Apache-2.0
"""Usage leaves that were delivered, kept on this machine: what a provider said once can be held against it.

One file a channel, in the user's folder of state, replaced as a whole. Only settled leaves are kept;
a leaf of a batch that is not mined yet may still be cut anew.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.protocol.ids import ChannelId, channel_hex
from trustedpods.protocol.messages.usage import UsageLeaf
from trustedpods.publisher.state.files import write_whole

MAX_REPORT_FILE = 64 * 1024 * 1024
"""A leaf is 700 bytes of text: a claim an hour for ten years."""

FOLDER = "reports"


def load_leaves(state: Path, channel: ChannelId) -> list[UsageLeaf]:
    """The leaves of *channel* that are kept, oldest first; `BadInput` where the file is damaged."""
    path = _path(state, channel)
    try:
        if path.stat().st_size > MAX_REPORT_FILE:
            raise BadInput(f"larger than {MAX_REPORT_FILE} bytes", where=str(path))
        rows = json.loads(path.read_text())
        if not isinstance(rows, list):
            raise TypeError  # noqa: TRY301 - one message for all that is not such a file
        return [_leaf(row) for row in rows]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError, ValidationError):
        raise BadInput(
            "not a file of usage reports", where=str(path), hint="move it away; it is made anew"
        ) from None


def keep_leaves(state: Path, channel: ChannelId, leaves: Iterable[UsageLeaf]) -> None:
    """Keep *leaves* too. One that is kept already stays as it was delivered first.

    Raises `NoContext` where the folder cannot be written.
    """
    known = {(leaf.root, leaf.from_): leaf for leaf in load_leaves(state, channel)}
    for leaf in leaves:
        known.setdefault((leaf.root, leaf.from_), leaf)
    rows = [_row(leaf) for leaf in sorted(known.values(), key=lambda leaf: (leaf.from_, leaf.root))]
    path = _path(state, channel)
    try:
        write_whole(path, json.dumps(rows).encode())
    except OSError as error:
        raise NoContext(f"usage reports cannot be kept: {error.strerror}", where=str(path)) from None


def _path(state: Path, channel: ChannelId) -> Path:
    return state / FOLDER / f"{channel_hex(channel)}.json"


def _row(leaf: UsageLeaf) -> dict[str, object]:
    return {
        "from": leaf.from_,
        "up_to": leaf.up_to,
        "usage": leaf.usage,
        "root": leaf.root.hex(),
        "proof": [part.hex() for part in leaf.proof],
        "transaction": None if leaf.transaction is None else leaf.transaction.hex(),
    }


def _leaf(row: dict[str, object]) -> UsageLeaf:
    transaction, proof = row["transaction"], row["proof"]
    if not isinstance(proof, list):
        raise TypeError
    return UsageLeaf.model_validate(
        {
            "from_": row["from"],
            "up_to": row["up_to"],
            "usage": row["usage"],
            "root": bytes.fromhex(str(row["root"])),
            "proof": [bytes.fromhex(part) for part in proof],
            "transaction": None if transaction is None else bytes.fromhex(str(transaction)),
        }
    )
