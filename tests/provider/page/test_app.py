# SPDX-License-Identifier: Apache-2.0
"""The operator's page over HTTP: what each view says, to whom, how large it is, and what it asks."""

import httpx
import pytest
import trio

from tests.fakes.page.operator import AWAY, NOW, FakeOperator, earnings, evidence, health, overview, pod
from trustedpods.protocol.errors import NoContext
from trustedpods.protocol.local_page.access import COOKIE, HEADERS, PageAccess
from trustedpods.protocol.local_page.readings import ReadingLimits, Readings
from trustedpods.provider.admin.reports.health_views import SlowStarts, WakeFailure
from trustedpods.provider.core.disk import DiskState
from trustedpods.provider.page.app import DAY_S, make_app
from trustedpods.provider.page.earnings_view import DAYS, RECENT_DAYS
from trustedpods.provider.page.pods_view import PAGE

PORT = 8000
MOST_BYTES = 300 * 1024
VIEWS = ("/", "/earnings", "/pods", "/capacity", "/wakes")
LONG = "<b onclick='x'>\u202e\x1b[31m" + "é&" * 500
"""A reason as Kubernetes or a container may write one."""


class Browser:
    """Asks the app as a browser does, without a socket."""

    def __init__(self, nursery, reader, fresh_s=0.0):
        self.time = float(NOW)
        self.access = PageAccess(PORT)
        readings = Readings(nursery, ReadingLimits(fresh_s=fresh_s), lambda: self.time)
        app = make_app(self.access, reader, readings, lambda: self.time)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=f"http://127.0.0.1:{PORT}"
        )
        self.cookie = {"Cookie": f"{COOKIE}={self.access.cookie}"}

    async def get(self, path, **headers):
        return await self.client.get(self.access.folder + path, headers={**self.cookie, **headers})

    async def text(self, path):
        answer = await self.get(path)
        assert answer.status_code == 200
        return answer.text


@pytest.fixture
def reader():
    return FakeOperator()


@pytest.fixture
async def browser(nursery, reader):
    return Browser(nursery, reader)


@pytest.mark.parametrize("path", VIEWS)
async def test_only_who_opened_the_link_sees_a_view(browser, reader, path):
    for headers in ({}, {**browser.cookie, "Host": "evil.example"}):
        answer = await browser.client.get(browser.access.folder + path, headers=headers)
        assert answer.status_code in (403, 421)
        assert [answer.headers.get_list(name) for name in HEADERS] == [[value] for value in HEADERS.values()]
    for method in ("POST", "PUT", "DELETE"):
        answer = await browser.client.request(method, browser.access.folder + path, headers=browser.cookie)
        assert answer.status_code == 405
    assert reader.asked == []
    assert "trustedpods-provider page" in (await browser.client.get(browser.access.folder + path)).text


async def test_now_says_how_every_part_fares(browser):
    page = await browser.text("/")
    for wanted in (
        "Nothing needs you",
        "3 serving",
        "2 asleep, 1 awake",
        "2 ready of 2",
        "answered 2 s ago",
        "12 final, 1 sent",
        "good, 19.5 GiB free",
        "60 days left",
        "two live pods have shown it",
        "sev-snp, 1184 bytes",
        "good until 2027-",
    ):
        assert wanted in page, wanted


async def test_now_says_what_is_wrong_and_what_to_type(browser, reader):
    reader.told = health(
        disk_state=DiskState.FAILING,
        isolation_doubt="a probe reached the other",
        gas_wei=10,
        key_change="switched",
    )
    page = await browser.text("/")
    for wanted in (
        "4 alerts, 2 of them critical",
        "The disk of the books is failing",
        "a probe reached the other",
        "<code>trustedpods-provider doctor</code>",
        "holds 10 wei",
        "being changed: the key before it is not done with yet",
        "<code>trustedpods-provider operator-key</code>",
    ):
        assert wanted in page, wanted
    assert page.index("disk of the books is failing") < page.index("holds 10 wei"), "critical ones first"


@pytest.mark.parametrize(
    ("proof", "wanted"),
    [
        (evidence(kind="none"), "class open, the operator can read the pods"),
        (evidence(simulated=True), 'warns">SIMULATED sev-snp'),
        (evidence(good_until=NOW + DAY_S), 'warns">good until'),
        (evidence(kind="tdx", good_until=None), "no end that is read here"),
    ],
)
async def test_now_says_what_the_machine_proves(browser, reader, proof, wanted):
    reader.proof = proof
    assert wanted in await browser.text("/")


async def test_a_machine_that_does_not_prove_itself_is_an_alert(browser, reader, monkeypatch):
    async def fails():
        raise NoContext("the kernel has no TEE", hint="look at dmesg")

    monkeypatch.setattr(reader, "evidence", fails)
    page = await browser.text("/")
    assert "1 alert, 1 of them critical" in page
    assert "does not prove itself: the kernel has no TEE" in page
    reader.error = AWAY
    browser.time += 20
    assert "does not prove itself" not in await browser.text("/"), "the daemon is away: nobody can tell"


async def test_a_proof_that_is_asked_for_again_after_the_daemon_was_away_is_no_alert(
    browser, reader, monkeypatch, virtual_time
):
    reader.error = AWAY
    await browser.text("/")
    reader.error = None
    monkeypatch.setattr(reader, "evidence", trio.sleep_forever)
    browser.time += 20
    page = await browser.text("/")
    assert "does not prove itself" not in page
    assert "is being asked for" in page


async def test_earnings_are_told_by_day_claimed_and_not(browser, reader):
    page = await browser.text("/earnings")
    for wanted in (
        "6 TPT",
        "0.25 TPT in 1 claims",
        "0.125 TPT",
        "7 TPT",
        "0.003",
        "<rect ",
        "2026-11-30",
        "Earned a day: at most 3 TPT",
    ):
        assert wanted in page, wanted
    assert reader.asked == [f"earnings {NOW - RECENT_DAYS * DAY_S}", f"earnings {NOW - DAYS * DAY_S}"]
    browser.time += 120
    await browser.text("/earnings")
    assert len(reader.asked) == 3, "days that are over are read seldom"


async def test_earnings_without_the_chain_are_base_units(browser, reader):
    reader.earned = earnings(token=None, decimals=None, withdrawable=None, trouble="no answer")
    page = await browser.text("/earnings")
    for wanted in ("no answer", "6000000 base units", "125000 base units"):
        assert wanted in page, wanted


async def test_nothing_earned_is_no_chart(browser, reader):
    reader.earned = earnings(days=())
    page = await browser.text("/earnings")
    assert "Nothing was paid yet" in page
    assert "<svg" not in page


async def test_pods_are_told_in_numbers_and_without_their_tenants_names(browser, reader):
    reader.every[0] = pod(0, why="the image has no such command", replicas=2, ready=1)
    page = await browser.text("/pods")
    for wanted in (
        "Pods 1 to 3 of 3",
        "serving, asleep",
        "0.5 cores, 256 MiB, 2.0 GiB of volumes",
        "1 of 2",
        "https, tcp 30001",
        "2 h",
        "the image has no such command",
    ):
        assert wanted in page, wanted
    assert "secret-name" not in page
    assert "other-name" not in page


async def test_a_thousand_pods_are_turned_over_page_by_page(browser, reader):
    reader.every = [pod(number) for number in range(1000)]
    first, second = await browser.text("/pods"), await browser.text(f"/pods?from={PAGE}")
    assert reader.asked == [f"pods 0 {PAGE}", f"pods {PAGE} {PAGE}"]
    assert "Pods 1 to 100 of 1000" in first
    assert f"/pods?from={PAGE}" in first
    assert "Those before" not in first
    assert "Pods 101 to 200 of 1000" in second
    assert "Those before" in second
    last = await browser.text("/pods?from=900")
    assert "Those behind" not in last
    assert "none behind" in await browser.text("/pods?from=5000")


@pytest.mark.parametrize("text", ["", "-1", "x", "1e3", "٣", "9" * 40])
async def test_a_place_that_is_no_number_is_the_first(browser, reader, text):
    await browser.client.get(f"{browser.access.folder}/pods", params={"from": text}, headers=browser.cookie)
    assert reader.asked == [f"pods 0 {PAGE}"]


async def test_an_older_daemon_tells_no_sizes(browser, reader, monkeypatch):
    told = overview([pod(1, size=None)]).model_copy(update={"total": None})

    async def pods(skip, most):
        return told

    monkeypatch.setattr(reader, "pods", pods)
    page = await browser.text("/pods")
    assert "Pods 1 to 1 of 1" in page


async def test_capacity_tells_room_overcommit_traffic_and_offers(browser, reader):
    page = await browser.text("/capacity")
    for wanted in (
        "16 cores",
        "64.0 GiB",
        "50 %",
        "25 %",
        "1234",
        "5.0 GiB",
        "fast",
        "the settings allow it",
        "names this profile",
    ):
        assert wanted in page, wanted
    reader.told = health(capacity=None, trouble="the API server is away")
    page = await browser.text("/capacity")
    assert "the API server is away" in page
    assert "Kept for sleepers" not in page


async def test_wakes_tell_how_long_they_took_and_which_fail(browser, reader):
    page = await browser.text("/wakes")
    for wanted in ("0.60 s", "0.5 s", "1 s", "0.5 to 1 s", "<rect ", "the image has no such command"):
        assert wanted in page, wanted
    reader.told = health(
        cold_starts=SlowStarts(count=0, seconds=0.0, at_most=[]), wakes_failing=0, wake_failures=[]
    )
    page = await browser.text("/wakes")
    assert "No pod was woken yet" in page
    assert "<svg" not in page


@pytest.mark.parametrize("path", VIEWS)
async def test_a_daemon_that_is_away_is_said_with_what_to_do(browser, reader, path):
    reader.error = AWAY
    first = await browser.text(path)
    assert "the daemon does not answer" in first
    assert "trustedpods-provider serve" in first
    assert "Nothing was known of it before" in first
    reader.error = None
    browser.time += 7 * 3600
    await browser.text(path)
    reader.error = AWAY
    browser.time += 190
    later = await browser.text(path)
    assert "3 min 10 s earlier" in later
    assert "the daemon does not answer" in later


@pytest.mark.parametrize("path", VIEWS)
async def test_a_page_stays_small_and_texts_stay_texts(browser, reader, path):
    reader.every = [pod(number, why=LONG, services={LONG: LONG}, scale=LONG) for number in range(1000)]
    failures = [WakeFailure(label=LONG, failures=n, why=LONG) for n in range(50)]
    reader.told = health(wake_failures=failures, wakes_failing=900, isolation_doubt=LONG, trouble=LONG)
    offer = reader.offered.offers[0].model_copy(update={"name": LONG, "why": LONG, "kind": LONG})
    reader.offered = reader.offered.model_copy(update={"offers": [offer] * 500, "row": LONG})
    reader.earned = earnings(days=[f"2026-{month:02}-{day:02}" for month in (10, 11) for day in range(1, 31)])
    page = (await browser.get(path)).content
    files = [(await browser.get(f"/static/{name}")).content for name in ("page.css", "live.js", "icon.svg")]
    assert len(page) + sum(map(len, files)) <= MOST_BYTES
    assert b"<b " not in page
    assert not set(page.decode()) & set("\x1b\u202e")
