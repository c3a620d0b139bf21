# SPDX-License-Identifier: Apache-2.0
"""Results in which every text that somebody else may write is hostile, and as long as the protocol allows."""

from dataclasses import replace

from tests.fakes.page import reader as page_reader
from trustedpods.protocol.attestation.verdict import Verdict
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.pod import PodEvent, PodFailure
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.pods import ListResult, LogPiece, ServiceStatus
from trustedpods.publisher.results.providers import ProvidersResult

MARK = "evil()"
SCRIPT = f"</pre></script><script>{MARK}</script><img src=x onerror={MARK}>\"'><a href='javascript:{MARK}'>"
TEXT = f"{SCRIPT}\x1b[2J\u202e\x00\r\n" + "<" * 400
LONG = TEXT * 18
URLS = (
    f"javascript:{MARK}",
    f"https://x.example/{SCRIPT}",
    "http://[bad",
    "tcp://x.example:1",
    "data:text/html,x",
)
TOKEN = Token("<b>&\u202e", 6)
ERROR = ErrorReport.of(Refused(TEXT, where=TEXT, hint=TEXT, rule="evil"))


def market(count=300):
    verdict = Verdict("sealed", False, TEXT, b"", b"", ())
    rows = [
        page_reader.provider(
            provider=replace(page_reader.provider().provider, region=TEXT),
            tee=(TEXT, TEXT),
            proof=ERROR if number % 2 else verdict,
            updated_at=2**60,
        )
        for number in range(count)
    ]
    return ProvidersResult(TOKEN, False, tuple(rows))


def pods(count=300):
    rows = [
        page_reader.listed(
            name=None, phase=TEXT, reason=TEXT, urls=URLS, error=ERROR, unlock_at=2**60 * (n % 2)
        )
        for n in range(count)
    ]
    return ListResult(TOKEN, tuple(rows))


def pod():
    found = page_reader.overview()
    failure = PodFailure(
        reason=LONG[:8000],
        container=TEXT[:500],
        exit_code=1,
        ended_at=2**60,
        lines=LONG[:8000],
        tries=2**31,
        next_try_at=2**60,
        by_itself=False,
    )
    events = [PodEvent(at=2**60, reason=TEXT[:500], text=LONG[:8000]) for _ in range(256)]
    status = replace(
        found.status,
        pod=replace(found.status.pod, token=TOKEN),
        phase=TEXT,
        reason=LONG,
        failure=failure,
        services=tuple(ServiceStatus(TEXT, TEXT, URLS) for _ in range(64)),
        events=tuple(events),
        runway_s=2**63,
    )
    bill = replace(page_reader.billed(made=page_reader.lines(3000)), problems=(TEXT,) * 1000)
    bill = replace(bill, pod=replace(bill.pod, token=TOKEN))
    return replace(found, status=status, bill=bill, log=(LogPiece(TEXT, TEXT.encode() * 5000),))
