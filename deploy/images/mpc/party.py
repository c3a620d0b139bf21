# SPDX-License-Identifier: Apache-2.0
"""One party of one session: MPyC between three processes, which make keys and sign with them (Ed25519).

Reads a line of JSON for each thing to do, and answers with one. No party ever has a whole key: each keeps a
share (Shamir, any two of three together have the key), and what is opened is a public key or a signature.
MPyC is secure against parties that follow the protocol and look at what they see.
"""

import asyncio
import hashlib
import json
import sys
from itertools import count
from typing import Any, TypeAlias

from mpyc import fingroups
from mpyc.runtime import mpc

CURVE = fingroups.EllipticCurve("Ed25519", "extended")
ORDER = 2**252 + 27742317777372353535851937790883648493
P = 2**255 - 19
SCALARS = mpc.SecFld(modulus=ORDER)
LINE_LIMIT = 2**18
"""Bytes of a line: a message of 64 KiB in hex, and words around it."""

Point: TypeAlias = Any
"""Of the curve, as MPyC has it, which has no types."""

_turns = count(1)


def encoded(point: Point) -> bytes:
    """A point's 32 bytes (RFC 8032, 5.1.2)."""
    x, y = (int(one) for one in point.normalize()[:2])
    return (y | (x & 1) << 255).to_bytes(32, "little")


def coordinates(point: Point) -> bytes:
    """Both coordinates, for another party."""
    return b"".join(int(one).to_bytes(32, "little") for one in point.normalize()[:2])


def decoded(data: bytes) -> Point:
    """Another party's point; ValueError where it is none of the curve."""
    x, y = (int.from_bytes(data[start : start + 32], "little") for start in (0, 32))
    if len(data) != 64 or x >= P or y >= P:
        raise ValueError("a party sent no point")
    d = -121665 * pow(121666, -1, P)
    if (y * y - x * x - 1 - d * x * x * y * y) % P:
        raise ValueError("a party sent a point beside the curve")
    return CURVE((x, y))


async def exchanged(mine: bytes) -> list[bytes]:
    """What each party says, in their order. As bytes: MPyC's own `transfer` unpickles what others send."""
    turn = -next(_turns)
    for peer in mpc.parties:
        if peer.pid != mpc.pid:
            peer.protocol.send(turn, mine)
    said = []
    for peer in mpc.parties:
        got = mine if peer.pid == mpc.pid else peer.protocol.receive(turn)
        said.append(got if isinstance(got, bytes) else await got)
    return said


def lagrange_weight(party: int) -> int:
    """Lagrange's at zero, of the party's share."""
    above = below = 1
    for other in range(1, len(mpc.parties) + 1):
        if other != party + 1:
            above, below = above * other % ORDER, below * (other - party - 1) % ORDER
    return above * pow(below, -1, ORDER) % ORDER


async def point_of(share: int) -> Point:
    """The base point times the shared number, which stays shared."""
    mine = CURVE.repeat(CURVE.generator, share * lagrange_weight(mpc.pid) % ORDER)
    total = CURVE.identity
    for part in await exchanged(coordinates(mine)):
        total = total @ decoded(part)
    return total


async def new_key() -> dict[str, str]:
    """A number that all parties drew together: this one's share, and the public key."""
    share = int(await mpc.gather(mpc._random(SCALARS)))  # noqa: SLF001 - MPyC's own examples draw so
    return {"share": f"{share:064x}", "public": encoded(await point_of(share)).hex()}


async def sign(share: int, public: bytes, message: bytes) -> dict[str, str]:
    """An Ed25519 signature as anybody checks it; its nonce was drawn together and nobody has it."""
    nonce = mpc._random(SCALARS)  # noqa: SLF001
    point = encoded(await point_of(int(await mpc.gather(nonce))))
    digest = hashlib.sha512(point + public + message).digest()
    challenge = int.from_bytes(digest, "little") % ORDER
    key = SCALARS(SCALARS.field(share))
    scalar = int(await mpc.output(nonce + key * challenge))
    return {"signature": (point + scalar.to_bytes(32, "little")).hex()}


def digest_of(asked: dict[str, str]) -> bytes:
    """Of all but the share, which is another at each party."""
    public = {name: value for name, value in asked.items() if name != "share"}
    return hashlib.sha512(json.dumps(public, sort_keys=True).encode()).digest()


async def answer(asked: dict[str, str]) -> dict[str, str]:
    """What is asked for, done by all parties at once, if the same was asked of all.

    Answers to two messages under one nonce would give the key away to whoever asked.
    """
    if len(set(await exchanged(digest_of(asked)))) != 1:
        return {"refused": "the three nodes were not asked for the same thing"}
    if asked["do"] == "key":
        return await new_key()
    share, public, message = asked["share"], asked["public"], asked["message"]
    return await sign(int(share, 16), bytes.fromhex(public), bytes.fromhex(message))


async def main() -> None:
    """Until standard input ends. The process ends with a session that lost a party: others say so."""
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await mpc.start()
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    while line := await reader.readline():
        sys.stdout.write(json.dumps(await answer(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    mpc.run(main())
