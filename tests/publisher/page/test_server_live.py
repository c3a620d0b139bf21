# SPDX-License-Identifier: Apache-2.0
"""The page in a real Chromium: keyboard, 320 px, the dark, axe, and nothing that leaves the page."""

import pytest
import trio

from tests.fakes.page.reader import AWAY, FakeReader, listed
from tests.publisher.page import hostile
from tests.publisher.page.chromium import open_page, open_tab
from tests.publisher.page.looks import check
from trustedpods.protocol.local_page.readings import ReadingLimits
from trustedpods.protocol.local_page.server import listen
from trustedpods.publisher.page.server import serve_page
from trustedpods.publisher.results.pods import ListResult

pytestmark = [pytest.mark.live]

VIEWS = {"pods": "/", "market": "/market", "pod": "/pods/web"}
FRESH_S = 0.2


def opened(reader):
    """The page of *reader*, in a browser."""
    limits = ReadingLimits(fresh_s=FRESH_S)
    return open_page(lambda tell: serve_page(listen(0), reader, tell, limits))


async def test_each_view_small_and_wide_in_light_and_dark():
    reader = FakeReader()
    async with opened(reader) as (tab, folder):
        for name, path in VIEWS.items():
            await tab.open(folder + path)
            await check(tab, name)
        reader.error = AWAY
        await trio.sleep(FRESH_S)
        for name, path in VIEWS.items():
            await tab.open(folder + path)
            said = await tab.run("document.getElementById('reading').innerText")
            assert "does not answer" in said or name == "market", "the market is new for a minute"
            await check(tab, f"{name}-away", ((320, True), (1280, False)))
        assert tab.broken == []
        assert {url for url in tab.requests if not url.startswith((folder, "about:"))} == set()


async def test_hostile_texts_in_a_real_browser():
    reader = FakeReader(hostile.market(5), hostile.pods(5), hostile.pod())
    async with opened(reader) as (tab, folder):
        for name, path in VIEWS.items():
            await tab.open(folder + path)
            await tab.run("window.evil = () => { window.hurt = true }")
            await check(tab, f"{name}-hostile", ((320, False), (1280, True)))
            assert await tab.run("window.hurt === undefined && document.images.length === 0")
        assert tab.broken == []
        assert {url for url in tab.requests if not url.startswith((folder, "about:"))} == set()


async def test_by_keyboard_alone():
    async with opened(FakeReader()) as (tab, folder):
        await tab.open(folder + "/")
        await tab.tab()
        assert await tab.run("document.activeElement.className") == "skip"
        assert await tab.run("document.activeElement.getBoundingClientRect().left >= 0")
        stops = []
        while "/pods/web" not in (stops[-1] if stops else ""):
            await tab.tab()
            stops.append(await tab.run("document.activeElement.href || document.activeElement.id"))
            outline = await tab.run("getComputedStyle(document.activeElement).outlineWidth")
            assert outline == "3px", stops
            assert len(stops) < 10, stops
        await tab.enter()
        await tab.until("location.pathname.endsWith('/pods/web') && document.readyState === 'complete'")
        while await tab.run("document.activeElement.tagName") != "SUMMARY":
            await tab.tab()
        await tab.enter()
        await tab.until("document.getElementById('numbers').open")
        while await tab.run("document.activeElement.id") != "lines":
            await tab.tab()


async def test_the_page_follows_what_changes_and_can_be_told_not_to():
    reader = FakeReader()
    async with opened(reader) as (tab, folder):
        await tab.open(folder + "/pods/web")
        await tab.run(
            "document.querySelector('summary').focus(); document.getElementById('numbers').open = true"
        )
        reader.error = AWAY
        await tab.until("document.getElementById('reading').innerText.includes('does not answer')")
        assert "GET /about 200" in await tab.run("document.body.innerText")
        assert await tab.run("document.getElementById('said').textContent") == "The pod web could not be read"
        reader.error, reader.pods = None, ListResult(reader.pods.token, (listed(phase="failing"),))
        await tab.until("!document.getElementById('reading').innerText.includes('does not answer')")
        assert await tab.run("document.getElementById('numbers').open")
        await tab.open(folder + "/")
        await tab.until("document.body.innerText.includes('failing')")
        await tab.run("document.getElementById('pause').click()")
        assert await tab.run("document.getElementById('pause').getAttribute('aria-pressed')") == "true"
        assert tab.broken == []


async def test_without_the_cookie_another_browser_sees_nothing():
    async with opened(FakeReader()) as (_, folder), open_tab() as other:
        await other.open(folder + "/")
        text = await other.run("document.body.innerText")
        assert "Not allowed" in text
        assert "web.example" not in text
