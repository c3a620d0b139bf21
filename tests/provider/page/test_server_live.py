# SPDX-License-Identifier: Apache-2.0
"""The operator's page in a real Chromium: small and wide, light and dark, by keyboard, and cut off."""

import pytest

from tests.fakes.page.operator import AWAY, NOW, FakeOperator, health, pod
from tests.publisher.page.chromium import open_page
from tests.publisher.page.looks import check
from trustedpods.protocol.local_page.readings import ReadingLimits
from trustedpods.protocol.local_page.server import listen
from trustedpods.provider.core.disk import DiskState
from trustedpods.provider.page.server import serve_page

pytestmark = [pytest.mark.live]

VIEWS = {"now": "/", "earnings": "/earnings", "pods": "/pods", "capacity": "/capacity", "wakes": "/wakes"}
BUSY = ((320, True), (1280, False))


def opened(reader):
    """The operator's page of *reader*, in a browser."""
    limits = ReadingLimits(fresh_s=0.0)
    return open_page(lambda tell: serve_page(listen(0), reader, tell, limits, lambda: NOW))


async def test_each_view_small_and_wide_in_light_and_dark_and_with_the_daemon_away():
    reader = FakeOperator()
    async with opened(reader) as (tab, folder):
        for name, path in VIEWS.items():
            await tab.open(folder + path)
            await check(tab, f"operator-{name}")
            assert await tab.run("document.querySelector('[aria-current]').href") == folder + path
        reader.told = health(disk_state=DiskState.FAILING, isolation_doubt="a probe got through")
        reader.every = [pod(number, why="a reason " * 20) for number in range(1000)]
        for name in ("now", "pods"):
            await tab.open(folder + VIEWS[name])
            await check(tab, f"operator-{name}-trouble", BUSY)
        reader.error = AWAY
        for name in ("now", "capacity", "wakes", "pods"):
            await tab.open(folder + VIEWS[name])
            said = await tab.run("document.getElementById('reading').innerText")
            assert "the daemon does not answer" in said, name
            assert "trustedpods-provider serve" in said, name
            await check(tab, f"operator-{name}-away", BUSY[:1])
        assert tab.broken == []
        assert {url for url in tab.requests if not url.startswith((folder, "about:"))} == set()


async def test_by_keyboard_to_the_numbers_of_the_bars_and_to_more_pods():
    reader = FakeOperator()
    reader.every = [pod(number) for number in range(250)]
    async with opened(reader) as (tab, folder):
        await tab.open(folder + "/")
        await tab.tab()
        assert await tab.run("document.activeElement.className") == "skip"
        while not await tab.run("(document.activeElement.href || '').endsWith('/earnings')"):
            await tab.tab()
            assert await tab.run("getComputedStyle(document.activeElement).outlineWidth") == "3px"
        await tab.enter()
        await tab.until("location.pathname.endsWith('/earnings') && document.readyState === 'complete'")
        while await tab.run("document.activeElement.tagName") != "SUMMARY":
            await tab.tab()
        await tab.enter()
        await tab.until("document.getElementById('numbers').open")
        await tab.open(folder + "/pods")
        while not await tab.run("(document.activeElement.href || '').includes('?from=100')"):
            await tab.tab()
        await tab.enter()
        await tab.until(
            "document.readyState === 'complete' && document.body.innerText.includes('101 to 200 of 250')"
        )
        assert tab.broken == []
