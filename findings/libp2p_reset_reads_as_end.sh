#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# py-libp2p 0.8.1 tells a waiting reader of a reset what it tells of an end. Not part of CI; needs Python 3.11 or newer.
#
# Version:     libp2p 0.8.1, its default host: TCP on loopback, Noise, yamux.
# Expectation: yamux closes a half of a stream with FIN and throws a stream away with RST. A reader that waits when a
#              RST comes gets StreamReset, which libp2p.network.stream.exceptions has; after a FIN it gets StreamEOF.
# Behaviour:   both get StreamEOF. A peer that threw its message away half-way and one that had said all look alike.
# Output seen: peer closes: 25 bytes, then StreamEOF
#              peer resets: 25 bytes, then StreamEOF
# Here:        protocol/net/yamux.py notes in the stream's buffer where a FIN came; an end without one is a reset.
#
# Exits 0 while it is so, 1 when it is no longer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check libp2p==0.8.1
cat > look.py <<'END'
import trio
from libp2p import new_host
from libp2p.custom_types import TProtocol
from libp2p.peer.peerinfo import info_from_p2p_addr
from multiaddr import Multiaddr

PROTOCOL = TProtocol("/look/1")
SAID = b"half of what was promised"


async def closes(stream):
    await stream.write(SAID)
    await stream.close()


async def resets(stream):
    await stream.write(SAID)
    await trio.sleep(0.5)  # the reader has read it and waits for more
    await stream.reset()


async def read_all(serve):
    server, client = new_host(), new_host()
    server.set_stream_handler(PROTOCOL, serve)
    loopback = [Multiaddr("/ip4/127.0.0.1/tcp/0")]
    async with server.run(loopback), client.run(loopback):
        await client.connect(info_from_p2p_addr(server.get_addrs()[0]))
        stream = await client.new_stream(server.get_id(), [PROTOCOL])
        got = b""
        with trio.fail_after(30):
            try:
                while piece := await stream.read(1 << 16):
                    got += piece
            except Exception as error:
                return len(got), type(error).__name__
        return len(got), "nothing more"


async def main():
    seen = {}
    for serve in (closes, resets):
        seen[serve.__name__] = await read_all(serve)
        print("peer {}: {} bytes, then {}".format(serve.__name__, *seen[serve.__name__]))
    raise SystemExit(0 if seen["closes"] == seen["resets"] == (len(SAID), "StreamEOF") else 1)


trio.run(main)
END
if env/bin/python look.py; then
  echo "as described: a reset reads as an end"
else
  echo "no longer so: see whether protocol/net/yamux.py still has to tell them apart by itself"
  exit 1
fi
