# SPDX-License-Identifier: Apache-2.0
"""The bytes of a Noise session, with few copies: libp2p does the handshake, this what comes after it.

py-libp2p copies each byte five times between its cipher and its reader, and sends each Noise message on its
own. On the wire nothing differs: u16 big-endian length, then a Noise message of at most 65,535 bytes.
"""

from collections.abc import Callable, Sequence
from typing import Any

from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.security.noise.io import BaseNoiseMsgReadWriter
from libp2p.security.secure_session import SecureSession

from trustedpods.protocol.net.bounds import NOISE_LENGTH, NOISE_PLAINTEXT
from trustedpods.protocol.net.transport import RawConnection


class NoiseSession(ReadWriteCloser):
    """*session*, its handshake done, over *raw*. Everything but reading and writing is the session's."""

    def __init__(self, session: SecureSession, raw: RawConnection) -> None:
        assert isinstance(session.conn, BaseNoiseMsgReadWriter)  # the only kind that handshakes make
        self._session = session
        self._messages = session.conn
        self._cipher = session.conn.noise_state
        self._raw = raw
        self._message = memoryview(b"")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the inner session has
        """Everything else is the inner session's."""
        return getattr(self._session, name)

    def take(self, size: int) -> memoryview | None:
        """The next *size* bytes if the message that was opened last still holds them all; copies nothing."""
        if size > len(self._message):
            return None
        taken = self._message[:size]
        self._message = self._message[size:]
        return taken

    async def read(self, n: int | None = None) -> bytes:
        """The next *n* bytes, fewer only before an empty message; None asks for the rest of a message.

        Raises libp2p's errors at the end of the connection and for a message that was tampered with.
        """
        if n == 0:
            return b""
        if not self._message:
            self._message = memoryview(await self._next_message())
        taken = self.take(len(self._message) if n is None else min(n, len(self._message)))
        assert taken is not None
        if n is None or len(taken) == n:
            return bytes(taken)
        return bytes(taken) + await self._more(n - len(taken))

    async def _more(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            self._message = memoryview(await self._next_message())
            taken = self.take(min(size - len(parts), len(self._message)))
            assert taken is not None
            parts += taken
        return bytes(parts)

    async def _next_message(self) -> bytes:
        """Opened; at once where all of it has come."""
        sealed = await self._raw.read_message()
        opened = await self._messages.read_msg() if sealed is None else self._cipher.decrypt(sealed)
        if not opened:
            raise ConnectionClosedError("an empty message", transport="noise")
        return opened

    async def write(self, data: bytes) -> None:
        """Seal and write *data*, of any size."""
        pieces = [data[at : at + NOISE_PLAINTEXT] for at in range(0, len(data), NOISE_PLAINTEXT)]
        await self.write_messages(pieces or [b""])

    async def write_messages(
        self, messages: Sequence[bytes], progress: Callable[[], None] = lambda: None
    ) -> None:
        """Seal each as one Noise message and write them together; *progress* is told when some went out."""
        parts: list[bytes] = []
        for message in messages:
            sealed = self._cipher.encrypt(message)
            parts += (len(sealed).to_bytes(NOISE_LENGTH, "big"), sealed)
        await self._raw.write(b"".join(parts), progress)

    async def close(self) -> None:
        """Close the connection below."""
        await self._session.close()

    def get_remote_address(self) -> tuple[str, int] | None:
        """As of the raw connection."""
        return self._raw.get_remote_address()
