# SPDX-License-Identifier: Apache-2.0
"""What the facade answers by itself: an authority's challenges, and the provider's public page."""

from collections.abc import Mapping
from pathlib import Path

import trio

from trustedpods.protocol.errors import Refused
from trustedpods.provider.facade.haproxy import config, maps
from trustedpods.provider.facade.haproxy.runtime import Runtime


class FixedPages:
    """The part of a facade that is about pages of no pod."""

    _runtime: Runtime
    _map_file: Path
    _lock: trio.Lock

    async def answer_challenges(self, pages: Mapping[str, str]) -> None:
        """Answer an authority that asks for these paths, and no others; Refused without such a map."""
        await self._answer_from(config.challenge_map(self._map_file), pages, config.NO_CHALLENGES)

    async def show_public(self, pages: Mapping[str, str]) -> None:
        """Show these, base64 by host and path, where no pod is; Refused without such a map."""
        await self._answer_from(config.public_map(self._map_file), pages, config.NO_PUBLIC)

    async def _answer_from(self, file: Path, answers: maps.Entries, hint: str) -> None:
        async with self._lock:
            try:
                await self._runtime.sync_map(file, answers)
            except Refused as none:
                raise Refused(none.what, where=none.where, rule="haproxy", hint=hint) from None
