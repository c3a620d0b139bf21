# SPDX-License-Identifier: Apache-2.0
"""The real Clef with one key, built from its Go module; the test is the person who sits before it."""

import json
import os
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

from eth_account import Account

from tests.live.observers.waiting import until
from trustedpods.localnet.cluster import binaries

MODULE, VERSION = "github.com/ethereum/go-ethereum/cmd/clef", "v1.16.7"
PASSWORD = "a password of a test"


def program() -> Path:
    """Clef, built into the cache once: two minutes of a processor."""
    found = binaries.cache() / f"clef-{VERSION}" / "clef"
    drafts = found.parent / "draft"
    if not found.exists():
        environment = {**os.environ, "GOBIN": str(drafts), "GOFLAGS": ""}
        words = ["go", "install", f"{MODULE}@{VERSION}"]
        subprocess.run(words, env=environment, check=True)
        (drafts / "clef").replace(found)  # whole, or not there: a build may be killed
    return found


class Clef:
    """A running Clef: `socket` is where it is asked; `agrees` what the person says; `shown` what he saw."""

    def __init__(self, folder, key, chain_id, *more):
        self.agrees, self.shown = True, []
        self.address = Account.from_key(key).address
        self.socket = folder / "clef.ipc"
        keys = folder / "keystore"
        keys.mkdir()
        sealed = Account.encrypt(key, PASSWORD, kdf="pbkdf2", iterations=2)
        (keys / f"UTC--2026-01-01T00-00-00.000000000Z--{self.address[2:].lower()}").write_text(
            json.dumps(sealed)
        )
        pipe = subprocess.PIPE
        options = ["--keystore", keys, "--configdir", folder, "--chainid", chain_id, "--ipcpath", folder]
        alone = ["--nousb", "--lightkdf", "--stdio-ui", "--suppress-bootwarn", "--auditlog", ""]
        words = [str(word) for word in (program(), *options, *alone, *more)]
        with (folder / "clef.log").open("wb") as log:
            self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=log, cwd=folder)
        self._person = threading.Thread(target=self._sit)

    def _sit(self):
        decoder, text = json.JSONDecoder(), ""
        while piece := os.read(self.process.stdout.fileno(), 65_536):
            text += piece.decode()
            while text := text.lstrip():
                try:
                    said, end = decoder.raw_decode(text)
                except ValueError:
                    break
                text = text[end:]
                if "id" in said:
                    answer = {"jsonrpc": "2.0", "id": said["id"], "result": self._answer(said)}
                    self.process.stdin.write(json.dumps(answer).encode() + b"\n")
                    self.process.stdin.flush()

    def _answer(self, said):
        asked = said["params"][0]
        if said["method"] == "ui_onInputRequired":
            return {"text": PASSWORD}
        self.shown.append((said["method"], asked))
        if said["method"] == "ui_approveTx":
            return {"transaction": asked["transaction"], "approved": self.agrees}
        return {"approved": self.agrees}

    def start(self):
        self._person.start()
        until("clef listens", lambda: self.socket.exists() or None)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self._person.join()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()


@contextmanager
def running_clef(folder, key, chain_id, *more):
    """Clef for *key*, with *more* options, until the end of the block."""
    clef = Clef(folder, key, chain_id, *more)
    try:
        clef.start()
        yield clef
    finally:
        clef.stop()
