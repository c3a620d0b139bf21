# SPDX-License-Identifier: Apache-2.0
"""A network that is away for half a minute: commands, forwarded ports and followed lines go on and say so."""

import signal
import socket
import subprocess
from time import sleep

import pytest

from tests.live.clients.publisher import COMMANDS, Publisher
from tests.live.commands.test_exec import awake
from tests.live.commands.test_streams import Lines, forwarded
from tests.live.conftest import unique
from tests.live.faults.providers import FaultyProvider
from tests.live.localnet_fixture import LiveLocalnet

pytestmark = [pytest.mark.live, pytest.mark.soak]
"""Half a minute without a network, and a market that others do not use meanwhile."""

AWAY_S = 30.0
TICKS = 45
"""A second each: the command is at work before the network goes and after it is back."""

SAID = "nothing came from the provider for"
"""From the warning of `publisher/market/silence.py`."""


def begun(publisher: Publisher, *words: str) -> "subprocess.Popen[str]":
    argv = [str(COMMANDS / "trustedpods"), *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, env=publisher.environment(), stdout=pipe, stderr=pipe, text=True)


def test_half_a_minute_without_a_network_ends_nothing_and_is_told(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    pod = publisher.deploy(publisher.manifest("hello", unique("pauses"), awake))
    count = f"i=0; while [ $i -lt {TICKS} ]; do echo tick $i; i=$((i+1)); sleep 1; done"
    with (
        begun(publisher, "exec", pod.name, "--", "sh", "-c", count) as command,
        begun(publisher, "logs", pod.name, "-f", "--tail", "0", "-o", "json") as follower,
        forwarded(publisher, pod.name, ":8080") as [address],
    ):
        try:
            lines = Lines(follower)
            lines.until_told(publisher, pod.name, "before")
            host, _, port = address.partition(":")
            with socket.create_connection((host, int(port)), timeout=120) as half:
                half.sendall(b"GET / HTTP/1.0\r\n")
                with FaultyProvider(market, 1).cut_off():
                    sleep(AWAY_S)
                half.sendall(b"\r\n")
                half.shutdown(socket.SHUT_WR)
                answered = b""
                while piece := half.recv(65536):
                    answered += piece
            assert answered.startswith(b"HTTP/1."), "the connection through the port stays"
            out, err = command.communicate(timeout=120)
            assert (command.returncode, out.split()) == (
                0,
                [word for tick in range(TICKS) for word in ("tick", str(tick))],
            )
            assert SAID in err, err
            lines.until_told(publisher, pod.name, "after")
            follower.send_signal(signal.SIGINT)
            assert follower.wait(60) == 130
            assert follower.stderr is not None
            assert SAID in follower.stderr.read()
        finally:
            command.kill()
            follower.kill()
