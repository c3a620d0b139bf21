# SPDX-License-Identifier: Apache-2.0
"""A command on a network, as a process that can be killed, stopped and told when to write.

`python -m tests.live.clients.network_command NETWORK CLUSTERS ORDER LOG HOLD_S [told]`: CLUSTERS is
NAME=OWNER/N with commas, ORDER the names in the order in which leases are asked for. It notes in LOG when
it holds all leases and when it lets them go, with this machine's monotonic clock. With `told` it prints
`held`, writes once a line comes on its standard input, and prints what came of it.
"""

import signal
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import trio

from tests.fakes.network_documents import Author
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.publisher.context import load_market
from trustedpods.publisher.keyfile import load_key
from trustedpods.publisher.market.market import open_account
from trustedpods.publisher.networks.clusters import open_clusters
from trustedpods.publisher.verbs.networks.places import daemons_of, parse_place

WAIT_S = 600.0


@asynccontextmanager
async def clusters(network, named, order):
    place = parse_place(network, named)
    async with open_account(load_market(None), load_key(None, warn=say)) as account:
        daemons = await daemons_of(account, place)
        founder = account.publisher.address
        async with open_clusters(account, founder, place.name, daemons, lambda _: None) as found:
            yield replace(found, doors={name: found.doors[name] for name in order})


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def note(log, what, generation):
    with Path(log).open("a") as file:
        file.write(f"{what} {time.monotonic():.6f} {generation}\n")


async def main(network, named, order, log, hold_s, *told):
    async with (
        clusters(network, named.split(","), order.split(",")) as found,
        found.locked("a test", WAIT_S) as held,
    ):
        note(log, "held", held.document.generation)
        if told:
            say("held")
            await trio.to_thread.run_sync(sys.stdin.readline)
        try:
            author = Author(load_key(None, warn=say).secret, network)
            written = await held.write(author.write(b"", held.document).body)
        except TrustedPodsError as error:
            say(f"refused {error.rule}")
            return
        await trio.sleep(float(hold_s))
        note(log, "done", written.generation)
        say(f"written {written.generation}")


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may have set it aside
    trio.run(main, *sys.argv[1:])
