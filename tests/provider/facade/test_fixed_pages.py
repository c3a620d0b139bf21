# SPDX-License-Identifier: Apache-2.0
"""Pages of no pod go into maps of their own beside the host map; an HAProxy of before has none."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import trio

from trustedpods.protocol.errors import Refused
from trustedpods.provider.facade.fixed_pages import FixedPages
from trustedpods.provider.facade.haproxy.config import NO_CHALLENGES, NO_PUBLIC, challenge_map, public_map

HOSTS = Path("/run/f/hosts.map")


class Maps:
    """HAProxy's maps by file; of before, it knows none."""

    def __init__(self, *, before: bool) -> None:
        self.before = before
        self.held: dict[Path, Mapping[str, str]] = {}

    async def sync_map(self, file: Path, entries: Mapping[str, str]) -> None:
        await trio.lowlevel.checkpoint()
        if self.before:
            raise Refused("unknown map", where="haproxy")
        self.held[file] = entries


class Pages(FixedPages):
    def __init__(self, maps: Maps) -> None:
        self._runtime = maps
        self._map_file, self._lock = HOSTS, trio.Lock()


async def test_each_kind_has_its_map() -> None:
    maps = Maps(before=False)
    pages = Pages(maps)
    await pages.answer_challenges({"/.well-known/x": "y"})
    await pages.show_public({"p.example/": "aGk="})
    assert maps.held == {
        challenge_map(HOSTS): {"/.well-known/x": "y"},
        public_map(HOSTS): {"p.example/": "aGk="},
    }


async def test_without_a_map_it_is_said_what_to_do() -> None:
    pages = Pages(Maps(before=True))
    with pytest.raises(Refused) as challenges:
        await pages.answer_challenges({})
    with pytest.raises(Refused) as public:
        await pages.show_public({})
    assert (challenges.value.hint, public.value.hint) == (NO_CHALLENGES, NO_PUBLIC)
    assert challenges.value.rule == "haproxy"
