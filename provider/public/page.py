# SPDX-License-Identifier: Apache-2.0
"""The provider's public page, and the same as JSON. Pure: everything is escaped, nothing is loaded."""

import base64
import json
from datetime import UTC, datetime
from html import escape

from trustedpods.contracts.records import TokenInfo
from trustedpods.contracts.terms import due
from trustedpods.protocol.messages.provider import Figures, Prices, SignedFigures
from trustedpods.protocol.units import Usage, duration_text
from trustedpods.provider.core.earnings.amounts import exact_text

HOUR_S = 3600
MONTH_S = 30 * 86_400
KIB = 1024
MAX_SYMBOL = 16
"""A token names itself, at any length."""

MAX_BYTES = 11 * 1024
"""Of the page, and of the JSON. HAProxy takes a line of 16 KB, and base64 makes four bytes of three."""

PRICED = {
    "core_hour": ("An hour of a core", Usage(cpu_core_ms=1000 * HOUR_S)),
    "gib_hour": ("An hour of a GiB of memory", Usage(memory_mib_s=KIB * HOUR_S)),
    "stored_gib_month": ("A GiB on disk for 30 days", Usage(storage_mib_s=KIB * MONTH_S)),
    "egress_gib": ("A GiB sent", Usage(egress_kib=KIB * KIB)),
    "ingress_gib": ("A GiB received", Usage(ingress_kib=KIB * KIB)),
}
"""What prices are told of: names in JSON, words on the page, and how much of what."""

_CLASSES = {
    "open": "open: whoever runs this provider can read the pods that run here",
    "sealed": "sealed: pods run in machines that prove what they run; attest them before you send anything",
}

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:42rem;margin:0 auto;padding:1rem;"
    "color:#1b1b1b;background:#fff;overflow-wrap:anywhere}h1{font-size:1.5rem}h2{font-size:1.15rem}"
    "th,td{text-align:left;padding:.25rem .75rem .25rem 0;vertical-align:top;font-weight:400}"
    "th{overflow-wrap:normal}"
    "a{color:#0645ad}"
    "@media(prefers-color-scheme:dark){body{color:#eaeaea;background:#161616}a{color:#9ecbff}}"
)


def page_html(figures: Figures, token: TokenInfo | None) -> bytes:
    """A page of one file, without scripts; prices in base units where *token* is not known."""
    name = escape(figures.domain)
    facts = [
        ("Class", _CLASSES[figures.trust] + (". Its hardware is SIMULATED" if figures.simulated else "")),
        ("Region", figures.region or "not told"),
        ("Provider", f"0x{figures.owner.hex()}/{figures.daemon}"),
    ]
    prices = [(PRICED[key][0], _amount(int(units), token)) for key, units in _prices(figures.prices).items()]
    items = "".join(f"<li>{escape(word)}</li>" for word in figures.capabilities)
    parts = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style></head><body><main>'
        f"<h1>Trusted Pods at {name}</h1>{_table(facts)}"
        f"<h2>Prices</h2>{_table(prices)}"
        f"<h2>Measured</h2>{_table(_measured(figures))}"
        f"<p>Signed by the provider at {_when(figures.at)}. It is the provider's own word on itself: "
        "nobody else measured it.</p>"
        f"<h2>What pods may ask for</h2><ul>{items}</ul>"
        '<p><a href="/provider.json">The same as JSON, with the signature</a></p>'
        "</main></body></html>"
    )
    return "".join(parts).encode()


def page_json(figures: Figures, signed: SignedFigures, reply_key: bytes) -> bytes:
    """What is signed, as text, beside the signed bytes (base64), the signature and its key (hex)."""
    told = {
        "provider": f"0x{figures.owner.hex()}/{figures.daemon}",
        "class": figures.trust,
        "simulated": figures.simulated,
        "region": figures.region,
        "domain": figures.domain,
        "token": f"0x{figures.token.hex()}",
        "prices": _prices(figures.prices),
        "capabilities": figures.capabilities,
        "profile": f"sha256:{figures.profile_digest.hex()}",
        "at": figures.at,
        "days": figures.days,
        "counted_s": figures.counted_s,
        "up_s": figures.up_s,
        "cold_starts": figures.cold_starts,
        "cold_start_ms": figures.cold_start_ms,
        "half_within_ms": figures.half_within_ms,
        "nine_of_ten_within_ms": figures.nine_of_ten_within_ms,
    }
    whole = {
        "figures": told,
        "signed": base64.b64encode(signed.figures).decode(),
        "signature": signed.signature.hex(),
        "reply_key": reply_key.hex(),
    }
    return json.dumps(whole, separators=(",", ":")).encode()


def _prices(prices: Prices) -> dict[str, str]:
    """Base units as decimal text, each rounded down once."""
    return {key: str(due(usage, prices)) for key, (_, usage) in PRICED.items()}


def _measured(figures: Figures) -> list[tuple[str, str]]:
    if not figures.counted_s:
        return [("Could serve pods", "not measured yet")]
    tenths = 1000 * figures.up_s // figures.counted_s
    return [
        ("Could serve pods", f"{tenths // 10}.{tenths % 10} % of {duration_text(figures.counted_s)}"),
        ("Requests that woke a pod", str(figures.cold_starts)),
        ("Half of them waited at most", _wait(figures, figures.half_within_ms)),
        ("Nine of ten waited at most", _wait(figures, figures.nine_of_ten_within_ms)),
    ]


def _wait(figures: Figures, bound: int | None) -> str:
    if bound is None:
        return "more than a minute" if figures.cold_starts else "there was none"
    return f"{exact_text(bound, 3)} s"


def _amount(units: int, token: TokenInfo | None) -> str:
    if token is None:
        return f"{units} base units"
    return f"{exact_text(units, token.decimals)} {token.symbol[:MAX_SYMBOL]}"


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in rows
    )
    return f"<table>{cells}</table>"


def _when(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
