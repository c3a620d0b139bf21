# SPDX-License-Identifier: Apache-2.0
"""The page over HTTP: who gets what, with which headers, and what stands in it."""

from dataclasses import replace
from html.parser import HTMLParser

import httpx
import pytest
import trio

from tests.fakes.page.reader import AWAY, VERDICT, FakeReader, listed, provider
from tests.publisher.page import hostile
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.local_page.access import COOKIE, HEADERS, PageAccess
from trustedpods.protocol.local_page.readings import ReadingLimits, Readings
from trustedpods.publisher.page.app import MARKET_WITHIN_S, make_app
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.pods import ListResult
from trustedpods.publisher.results.providers import ProviderId, ProvidersResult

PORT = 8000
MOST_BYTES = 300 * 1024


class Browser:
    """Asks the app as a browser does, without a socket."""

    def __init__(self, nursery, reader, fresh_s=0.0):
        self.time = 1_800_000_000.0
        self.access = PageAccess(PORT)
        readings = Readings(nursery, ReadingLimits(fresh_s=fresh_s), lambda: self.time)
        transport = httpx.ASGITransport(make_app(self.access, reader, readings))
        self.client = httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{PORT}")
        self.cookie = {"Cookie": f"{COOKIE}={self.access.cookie}"}

    async def get(self, path, **headers):
        return await self.client.get(self.access.folder + path, headers={**self.cookie, **headers})


@pytest.fixture
def reader():
    return FakeReader()


@pytest.fixture
async def browser(nursery, reader):
    return Browser(nursery, reader)


class Outline(HTMLParser):
    """Every start tag with its attributes, and the text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


async def test_the_link_lets_one_browser_in(browser):
    first = await browser.client.get(browser.access.link)
    assert (first.status_code, first.headers["location"]) == (303, f"{browser.access.folder}/")
    assert first.headers["set-cookie"] == browser.access.set_cookie
    browser.client.cookies.clear()
    second = await browser.client.get(browser.access.link)
    assert second.status_code == 403
    assert "set-cookie" not in second.headers
    assert "trustedpods ui" in second.text
    again = await browser.client.get(browser.access.link, headers=browser.cookie)
    assert again.status_code == 303


@pytest.mark.parametrize("path", ["/", "/market", "/pods/web", "/static/page.css", "/nowhere"])
async def test_without_the_cookie_nothing_is_shown(browser, reader, path):
    answer = await browser.client.get(browser.access.folder + path)
    assert answer.status_code == 403
    assert reader.asked == []


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1:8001", "[::1]:8000"])
async def test_another_name_is_refused_even_with_the_cookie(browser, reader, host):
    answer = await browser.get("/", Host=host)
    assert answer.status_code == 421
    assert reader.asked == []
    assert not browser.access.opened
    assert (await browser.client.get(browser.access.link, headers={"Host": host})).status_code == 421
    assert not browser.access.opened


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/pods/web", "/open/x"])
async def test_only_get_is_answered(browser, reader, method, path):
    answer = await browser.client.request(method, browser.access.folder + path, headers=browser.cookie)
    assert answer.status_code == 405
    assert reader.asked == []


async def test_a_link_is_not_used_up_by_a_look_at_its_head(browser):
    await browser.client.head(browser.access.link)
    assert (await browser.client.get(browser.access.link)).status_code == 303


@pytest.mark.parametrize(
    "path", ["/", "/market", "/pods/web", "/static/live.js", "/nowhere", "/pods/No%20Name"]
)
async def test_every_answer_has_the_headers(browser, path):
    allowed = await browser.get(path)
    refused = await browser.client.get(browser.access.folder + path)
    for answer in (allowed, refused):
        for name, value in HEADERS.items():
            assert answer.headers.get_list(name) == [value], name


async def test_what_does_not_exist_is_404(browser, reader):
    for path in (
        "/nowhere",
        "/static/app.py",
        "/static/..%2fapp.py",
        "/pods/No%20Name",
        "/pods/",
        "/pods/a%2fb",
    ):
        assert (await browser.get(path)).status_code == 404, path
    assert reader.asked == []


async def test_the_views(browser, reader):
    pods, market, pod = [(await browser.get(path)).text for path in ("/", "/market", "/pods/web")]
    for wanted in ("serving", "10 d", "0.5 TPT", "1 of 2", 'href="https://web.example/"', "/pods/web"):
        assert wanted in pods, wanted
    for wanted in ("SIMULATED", "eu-north", "4 TPT", "0.001 TPT", "sev-snp"):
        assert wanted in market, wanted
    for wanted in ("serving", "Started: replica 2", "GET /about 200", "<rect ", "Signed periods", "Attested"):
        assert wanted in pod, wanted
    assert reader.asked == ["list", "providers attested", "overview web"]


async def test_without_pods_it_says_what_to_do(browser, reader):
    reader.pods = ListResult(reader.pods.token, ())
    assert "trustedpods deploy FILE" in (await browser.get("/")).text


async def test_a_provider_that_is_away_leaves_its_last_state_with_its_age(browser, reader):
    await browser.get("/pods/web")
    reader.error = AWAY
    browser.time += 190
    page = (await browser.get("/pods/web")).text
    assert "could not be read" in page
    assert "3 min 10 s earlier" in page
    assert "trustedpods close web" in page
    assert "GET /about 200" in page


async def test_a_pod_of_a_silent_provider_is_listed_with_what_to_do(browser, reader):
    failed = replace(listed(), phase=None, replicas=None, ready=None, urls=(), error=hostile.ERROR)
    reader.pods = ListResult(reader.pods.token, (failed, listed("other")))
    page = (await browser.get("/")).text
    assert "What to do" in page
    assert "other" in page


async def test_a_first_reading_that_takes_long_is_said(nursery, reader, virtual_time):
    reader.hold = trio.Event()
    page = (await Browser(nursery, reader).get("/market")).text
    assert "read for the first time" in page
    assert 'http-equiv="refresh"' in page


def row(number, proof):
    where = ProviderId("0x" + f"{number:040x}", 1, "/ip4/127.0.0.1/tcp/1", "eu-north")
    return provider(provider=where, proof=proof)


SILENT = row(1, ErrorReport.of(NetworkFailure("it does not prove itself within 12 s", rule="timeout")))
REFUSED = row(2, hostile.ERROR)
UNHEARD = row(3, None)
PROVEN = row(4, VERDICT)


async def test_who_answered_is_shown_while_others_are_still_asked(nursery, reader, virtual_time):
    reader.hold = trio.Event()
    reader.heard = ProvidersResult(reader.market.token, True, (SILENT, UNHEARD, REFUSED, PROVEN))
    browser = Browser(nursery, reader)
    page = (await browser.get("/market")).text
    places = [page.index(one.provider.name) for one in (REFUSED, PROVEN, UNHEARD, SILENT)]
    assert places == sorted(places)
    for wanted in ("1 of them are still being asked", "1 did not answer", "within 12 s", "being asked"):
        assert wanted in page, wanted
    reader.market = replace(reader.heard, providers=(SILENT, REFUSED, PROVEN))
    reader.hold.set()
    page = (await browser.get("/market")).text
    assert "being asked" not in page
    assert "Read at" in page


async def test_a_market_whose_last_provider_never_answers_is_shown_without_it(nursery, reader, virtual_time):
    reader.hold = trio.Event()
    reader.heard = ProvidersResult(reader.market.token, True, (UNHEARD, PROVEN))
    browser = Browser(nursery, reader)
    await browser.get("/market")
    await trio.sleep(MARKET_WITHIN_S)
    page = (await browser.get("/market")).text
    assert "not asked in time" in page
    assert "could not be read" not in page
    assert "Read at" in page


async def test_after_a_first_reading_that_failed_nobody_is_being_asked(nursery, reader, virtual_time):
    reader.heard = ProvidersResult(reader.market.token, True, (UNHEARD, PROVEN))
    reader.error = NetworkFailure("the chain is away")
    page = (await Browser(nursery, reader, fresh_s=60.0).get("/market")).text
    assert "the chain is away" in page
    assert "not asked in time" in page
    assert "being asked" not in page


async def test_a_registry_that_is_not_read_in_time_is_an_error(nursery, reader, virtual_time):
    reader.hold = trio.Event()
    browser = Browser(nursery, reader)
    await browser.get("/market")
    await trio.sleep(MARKET_WITHIN_S)
    assert "no answer within 100 s" in (await browser.get("/market")).text


@pytest.mark.parametrize("path", ["/", "/market", "/pods/web"])
async def test_hostile_texts_stay_texts(browser, reader, path):
    reader.market, reader.pods, reader.pod = hostile.market(), hostile.pods(), hostile.pod()
    answer = await browser.get(path)
    assert answer.status_code == 200
    outline = Outline(answer.text)
    assert {tag for tag, _ in outline.tags}.isdisjoint({"img", "iframe", "b", "form", "object"})
    scripts = [attributes for tag, attributes in outline.tags if tag == "script"]
    assert [sorted(one) for one in scripts] == [["defer", "src"]]
    assert not [one for _, one in outline.tags for name in one if name.startswith("on") or name == "style"]
    links = [one["href"] for tag, one in outline.tags if tag == "a"]
    assert [link for link in links if not link.startswith((browser.access.folder, "#"))] in ([], [""])
    assert hostile.MARK in outline.text
    assert not set(outline.text) & set("\x1b\x00\u202e")


@pytest.mark.parametrize("path", ["/", "/market", "/pods/web"])
async def test_a_page_stays_small_whatever_others_write(browser, reader, path):
    reader.market, reader.pods, reader.pod = hostile.market(), hostile.pods(), hostile.pod()
    page = (await browser.get(path)).content
    files = [(await browser.get(f"/static/{name}")).content for name in ("page.css", "live.js", "icon.svg")]
    assert len(page) + sum(map(len, files)) <= MOST_BYTES


async def test_a_web_socket_is_closed(browser, nursery, reader):
    sent = []

    async def send(message):
        sent.append(message)

    app = make_app(browser.access, reader, Readings(nursery))
    await app({"type": "websocket", "headers": [], "path": "/"}, None, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
