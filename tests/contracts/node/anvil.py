# SPDX-License-Identifier: Apache-2.0
"""A real anvil for tests, on a free port, ended by its pid."""

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ANVIL = Path("contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil").resolve()

FUNDED_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""First account of anvil's public test mnemonic: worthless anywhere else."""


@dataclass(frozen=True)
class Anvil:
    url: str
    process: subprocess.Popen

    def rpc(self, method, *params):
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = httpx.post(self.url, json=body, timeout=60)
        body = answer.json()
        assert "error" not in body, body
        return body["result"]

    def pass_time(self, seconds):
        """Let chain time pass: one block, `seconds` later."""
        self.rpc("evm_increaseTime", seconds)
        self.rpc("evm_mine")


@contextmanager
def running_anvil(*options) -> Iterator[Anvil]:
    """Its log goes to a file: a full pipe would stop it."""
    with tempfile.NamedTemporaryFile("r", prefix="anvil-", suffix=".log") as log:
        with open(log.name, "w") as output:
            process = subprocess.Popen([ANVIL, "--port", "0", *options], stdout=output, stderr=output)
        try:
            yield Anvil(f"http://127.0.0.1:{_port(process, log)}", process)
        finally:
            process.kill()
            process.wait()


def _port(process, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        log.seek(0)
        if found := re.search(r"Listening on 127\.0\.0\.1:(\d+)", log.read()):
            return found[1]
        assert process.poll() is None, "anvil ended before it listened"
        time.sleep(0.02)
    raise AssertionError("anvil did not listen within 60 s")
