# SPDX-License-Identifier: Apache-2.0
"""Certificates in HAProxy, changed while it runs; kept in a folder in memory for its next start.

A publisher's certificate is shown for the publisher's own proven hosts only, whatever names it holds.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import trio

from trustedpods.protocol.errors import LocalProtocolError, Refused
from trustedpods.provider.facade.certificates import Certificate
from trustedpods.provider.facade.haproxy.config import crt_list
from trustedpods.provider.facade.haproxy.files import read_file, replace_file
from trustedpods.provider.facade.haproxy.runtime import Runtime

PROVIDER = "provider"
"""The provider's own certificate: the first, which is shown where no other fits."""

PROVIDER_NAMES = "provider-names"
"""One beside it, for names of the provider's that an authority proved without the wildcard."""

_KEY = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,200}[a-z0-9])?$")


class Certificates:
    """The certificates of one facade. Calls are done one after another by their holder."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self._runtime = runtime
        self._folder = folder
        self._list = crt_list(folder)

    def known(self) -> set[str]:
        """Keys of services whose certificates are in the list."""
        return self.listed() - {PROVIDER, PROVIDER_NAMES}

    def listed(self) -> set[str]:
        """Keys of all certificates in the list."""
        return {Path(line.split()[0]).stem for line in self._lines()}

    def _lines(self) -> list[str]:
        return read_file(self._list).splitlines()

    async def put(self, key: str, certificate: Certificate) -> None:
        """Show *certificate* from now on; nothing happens when it is shown already."""
        file = self._file(key)
        shown = await self._shown()
        line = " ".join([str(file), *certificate.names])
        if shown.get(str(file)) == line and read_file(file).encode() == certificate.pem:
            return
        before = self._lines(), read_file(file).encode()
        await self._write(key, certificate, line)
        try:
            await self._load(file, certificate, line, shown.get(str(file)))
        except Refused:
            await self._put_back(file, *before)
            raise

    async def _load(self, file: Path, certificate: Certificate, line: str, shown: str | None) -> None:
        if str(file) not in await self._stored():
            await self._runtime.command(f"new ssl cert {file}")
        await self._runtime.send(f"set ssl cert {file}", certificate.pem.decode())
        await self._runtime.expect(f"commit ssl cert {file}", "Success!")
        if shown != line:
            if shown is not None:
                await self._runtime.expect(f"del ssl crt-list {self._list} {file}", "deleted")
            await self._runtime.send(f"add ssl crt-list {self._list}", f"{line}\n")

    async def _put_back(self, file: Path, lines: list[str], pem: bytes) -> None:
        """What this process does not take the next one would not either, and would not start at all."""
        await trio.to_thread.run_sync(replace_file, self._list, _text(lines))
        if pem:
            await trio.to_thread.run_sync(replace_file, file, pem)
        else:
            await trio.to_thread.run_sync(partial(file.unlink, missing_ok=True))
        with suppress(Refused):  # there is a transaction where `set` was taken
            await self._runtime.command(f"abort ssl cert {file}")
        if str(file) not in await self._shown() and str(file) in await self._stored():
            await self._runtime.command(f"del ssl cert {file}")

    async def drop(self, key: str) -> None:
        """Show it no more, and forget its key."""
        file = self._file(key)
        lines = [line for line in self._lines() if line.split()[0] != str(file)]
        await trio.to_thread.run_sync(replace_file, self._list, _text(lines))
        if str(file) in await self._shown():
            await self._runtime.expect(f"del ssl crt-list {self._list} {file}", "deleted")
        if str(file) in await self._stored():
            await self._runtime.expect(f"del ssl cert {file}", "deleted")
        file.unlink(missing_ok=True)

    async def _write(self, key: str, certificate: Certificate, line: str) -> None:
        """Files first: a restart of HAProxy finds them. The key's file before the list names it."""
        file = self._file(key)
        await trio.to_thread.run_sync(replace_file, file, certificate.pem)
        lines = [old for old in self._lines() if old.split()[0] != str(file)]
        lines = [line, *lines] if key == PROVIDER else [*lines, line]
        await trio.to_thread.run_sync(replace_file, self._list, _text(lines))

    async def _shown(self) -> Mapping[str, str]:
        """The list as the process has it: each line by its file."""
        reply = await self._runtime.command(f"show ssl crt-list {self._list}")
        lines = [" ".join(line.split()) for line in reply.splitlines() if line.startswith("/")]
        return {line.split()[0]: line for line in lines}

    async def _stored(self) -> set[str]:
        reply = await self._runtime.command("show ssl cert")
        return {line.strip().lstrip("*") for line in reply.splitlines() if not line.startswith("#")}

    def _file(self, key: str) -> Path:
        if not _KEY.match(key):
            raise LocalProtocolError(f"not a service's key: {key!r}")
        return self._folder / f"{key}.pem"


def _text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
