# SPDX-License-Identifier: Apache-2.0
"""Receive buffers that refuse what flow control does not allow.

py-libp2p's yamux appends what comes to a `bytearray` per stream and only then looks at the
window, to log a warning. These stand in for its table of buffers and for the buffers in it.
"""

from collections.abc import Callable

Refuses = Callable[[int, int], bool]
"""Told a stream's id and how many bytes came for it; True drops them."""


class Buffers(dict[int, bytearray]):
    """`Yamux.stream_buffers`: whatever empty buffer is put in becomes one that can refuse."""

    def __init__(self, refuses: Refuses) -> None:
        super().__init__()
        self._refuses = refuses

    def __setitem__(self, stream_id: int, _empty: bytearray) -> None:
        """Put in a buffer that can refuse; the one given is empty and is dropped."""
        super().__setitem__(stream_id, StreamBuffer(self._refuses, stream_id))


class StreamBuffer(bytearray):
    """What one stream received and nobody has read; it outlives the stream's place in the muxer's tables."""

    def __init__(self, refuses: Refuses, stream_id: int) -> None:
        super().__init__()
        self._refuses = refuses
        self._stream_id = stream_id
        self._received = 0
        self._ends_at: int | None = None

    def extend(self, data: bytes) -> None:  # type: ignore[override]
        """Add what came, unless it is refused."""
        self._received += len(data)
        if not self._refuses(self._stream_id, len(data)):
            super().extend(data)

    def ends_behind(self, size: int) -> None:
        """The peer says that it sends no more than *size* bytes from here on."""
        if self._ends_at is None:
            self._ends_at = self._received + size

    @property
    def ended(self) -> bool:
        """True when the peer said that it was done, and all that it sent before came and was read."""
        return self._received == self._ends_at and not self
