# SPDX-License-Identifier: Apache-2.0
"""What a page must be at each width, in the light and in the dark: whole, and nothing that axe finds."""

import base64
import os

import trio

from tests.paths import ROOT

AXE = (ROOT / "contracts/node_modules/axe-core/axe.min.js").read_text
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LOOKS = ((320, False), (320, True), (1280, False), (1280, True))
SHOTS = os.environ.get("PAGE_SHOTS")
"""A folder for pictures of what was tested, for a person to look at."""


async def keep_picture(tab, name):
    if SHOTS:
        shot = await tab.call("Page.captureScreenshot", captureBeyondViewport=True)
        await trio.Path(SHOTS, f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


async def check(tab, name, looks=LOOKS):
    """No scroll to the side, and nothing that axe finds, at each width in the light and in the dark."""
    await tab.run(AXE())
    for width, dark in looks:
        await tab.size(width)
        await tab.dark(dark)
        assert await tab.run(OVERFLOW) <= 0, (name, width)
        found = await tab.run(
            "axe.run({resultTypes: ['violations']}).then(r => r.violations.map("
            "v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 200)).join(' ')))"
        )
        assert found == [], (name, width, dark)
        await keep_picture(tab, f"{name}-{width}-{'dark' if dark else 'light'}")
