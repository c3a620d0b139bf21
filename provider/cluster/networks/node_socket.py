# SPDX-License-Identifier: Apache-2.0
"""One question to a program of the node that stands beside Kubernetes, over its unix socket."""

from dataclasses import dataclass
from pathlib import Path

import trio

from trustedpods.protocol.errors import NetworkFailure


@dataclass(frozen=True, slots=True)
class NodeProgram:
    """Who answers: what people call it and its process, within how many seconds, and bytes at most."""

    name: str
    process: str
    limit_s: float
    most: int

    async def ask(self, path: Path, question: bytes | None = None) -> bytes:
        """All that it says until it closes; with a *question*, after that was said.

        NetworkFailure where it does not answer, not in time, or too much.
        """
        try:
            with trio.fail_after(self.limit_s):
                async with await trio.open_unix_socket(str(path)) as stream:
                    if question is not None:
                        await stream.send_all(question)
                        await stream.send_eof()
                    return await self._read_all(stream)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
            raise NetworkFailure(
                f"{self.name} does not answer: {error!s}",
                where=str(path),
                hint=f"is its process (`{self.process}`) running?",
            ) from None

    async def _read_all(self, stream: trio.SocketStream) -> bytes:
        answer = bytearray()
        async for data in stream:
            answer += data
            if len(answer) > self.most:
                raise trio.BrokenResourceError(f"more than {self.most} bytes")
        return bytes(answer)
