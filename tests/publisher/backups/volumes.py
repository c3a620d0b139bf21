# SPDX-License-Identifier: Apache-2.0
"""Volumes of a fake pod as folders: the container's tar and the filling container's busybox, both real."""

import subprocess
from pathlib import Path

import trio

from trustedpods.manifests.check.seeds import FILLED, FILLING_PROGRAM
from trustedpods.provider.cluster.isolation_proof import busybox

BUSYBOX = str(next(path for path in busybox.PLACES if path.exists()))


class Volumes:
    """`running` is what the pod's own containers see, `filled` what the one that fills a volume sees."""

    def __init__(self, running: Path, filled: Path) -> None:
        self.running, self.filled = running, filled
        self.ran: list[tuple[str, str]] = []
        self.tar = ["tar"]
        self.stop_after: int | None = None
        """So many bytes of input are read, then the container is gone; None: all of it."""
        for folder in (running, filled):
            folder.mkdir()

    @property
    def programs(self):
        return {"tar": self._tar, FILLING_PROGRAM: self._shell}

    async def _tar(self, command):
        words = [str(self.running) if word == "/data" else word for word in command.words]
        words[:1] = self.tar
        return await self._run(command, words)

    async def _shell(self, command):
        script = command.words[3].replace(FILLED, str(self.filled)).replace(FILLING_PROGRAM, BUSYBOX)
        return await self._run(command, [BUSYBOX, "sh", "-c", script])

    async def _run(self, command, words):
        self.ran.append((command.words[0], command.place[2]))
        unpacks = command.words[1] == "sh" and " tar -x" in command.words[3]
        pieces, read = [], 0
        while unpacks and (piece := await command.read()) is not None:
            pieces.append(piece)
            read += len(piece)
            if self.stop_after is not None and read >= self.stop_after:
                return None
        done = await trio.to_thread.run_sync(
            lambda: subprocess.run(
                words, input=b"".join(pieces), capture_output=True, check=False, timeout=30
            )
        )
        for data, stream in ((done.stdout, "stdout"), (done.stderr, "stderr")):
            if data:
                await command.write(data, stream)
        return done.returncode
