# SPDX-License-Identifier: Apache-2.0
"""The operator's `top`: rates between two readings, the busiest first."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from trustedpods.provider.admin.top import Reading, rates, screen, watch
from trustedpods.provider.admin.views import Overview


def pod(name: str, **fields: Any) -> dict[str, Any]:
    row = {
        "label": name,
        "channel": name * 4,
        "namespace": f"tp-{name}-1",
        "services": {},
        "left": "100",
        "claimed": "0",
        "phase": "serving",
        "scale": "awake",
        "replicas": 1,
        "ready": 1,
        "inFlight": 0,
        "requests": 0,
        "proxy": "1/5",
        "runwaySeconds": 7200,
        "why": None,
    }
    return {**row, **fields}


def overview(*pods: dict[str, Any], **fields: Any) -> Overview:
    numbers = {"replicas": 1, "conversations": 0, "freeSlots": 9, "spoolBytes": 5, "spoolQuotaBytes": 10}
    return Overview.model_validate({"pods": list(pods), **numbers, "gasWei": 10**17, **fields})


def test_requests_per_second_between_two_readings() -> None:
    before = Reading(10.0, overview(pod("pa", requests=100), pod("pb", requests=5)))
    now = Reading(12.0, overview(pod("pa", requests=100), pod("pb", requests=25), pod("pc", requests=7)))
    rows = rates(before, now)
    assert (rows[0].pod.label, rows[0].rate) == ("pb", 10.0)
    assert {row.pod.label: row.rate for row in rows} == {"pa": 0.0, "pb": 10.0, "pc": None}


def test_a_restarted_proxy_gives_no_rate() -> None:
    before = Reading(1.0, overview(pod("pa", requests=100)))
    for changed in (pod("pa", requests=300, proxy="2/1"), pod("pa", requests=99), pod("pa", requests=None)):
        assert rates(before, Reading(2.0, overview(changed)))[0].rate is None


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=8))
def test_the_fullest_come_first(flights: list[int]) -> None:
    pods = [pod(f"p{place}", inFlight=flight) for place, flight in enumerate(flights)]
    shown = [row.pod.in_flight for row in rates(None, Reading(0.0, overview(*pods)))]
    assert shown == sorted(flights, reverse=True)


def test_a_screen_says_why_a_pod_does_not_run() -> None:
    console = Console(width=160, record=True, file=open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115
    failing = pod("pa", scale="failing", why="ImagePullBackOff", runwaySeconds=None)
    with console.file:
        console.print(screen(None, Reading(0.0, overview(failing, pod("pb", runwaySeconds=300), gasWei=-1))))
    text = console.export_text()
    assert "ImagePullBackOff" in text
    assert "gas unknown" in text
    assert "5m" in text


def test_without_a_terminal_it_prints_once(capsys: Any) -> None:
    asked: list[int] = []

    def ask() -> Overview:
        asked.append(1)
        return overview(pod("pa"))

    watch(ask, lambda: 0.0, lambda _: None, 1.0)
    assert len(asked) == 1
    assert "pa" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("days", "told"), [(61, "certificate 61 days"), (0, "certificate 0 days"), (-1, "certificate ENDED")]
)
def test_the_certificates_end_is_in_the_first_line(days, told):
    text = io.StringIO()
    Console(file=text, width=200).print(screen(None, Reading(0.0, overview(certificateDays=days))))
    assert told in text.getvalue()
