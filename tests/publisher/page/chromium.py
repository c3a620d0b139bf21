# SPDX-License-Identifier: Apache-2.0
"""A real Chromium without a window, driven over its DevTools protocol; its requests are kept."""

import json
import re
import tempfile
from contextlib import asynccontextmanager, suppress
from functools import partial

import trio
from trio_websocket import ConnectionClosed, open_websocket_url

START_S = 60
ANSWER_S = 30
MAX_ANSWER = 64 * 2**20
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
    "--remote-debugging-port=0",
)  # fmt: skip


class Tab:
    """One tab. `requests` are the addresses that it asked for, `broken` what its console called an error."""

    def __init__(self, socket):
        self._socket, self._answers, self._last = socket, {}, 0
        self.session, self.requests, self.broken = None, [], []

    async def read(self):
        """Take in answers and events until the browser ends."""
        with suppress(ConnectionClosed):
            await self._read()

    async def _read(self):
        while True:
            message = json.loads(await self._socket.get_message())
            if "id" in message:
                event, kept = self._answers[message["id"]]
                kept.append(message)
                event.set()
            elif message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            elif message["method"] == "Runtime.exceptionThrown":
                self.broken.append(message["params"]["exceptionDetails"]["text"])
            elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.broken.append(message["params"]["entry"]["text"])

    async def call(self, method, **params):
        self._last += 1
        number = self._last
        event, kept = self._answers[number] = trio.Event(), []
        asked = {"id": number, "method": method, "params": params}
        if self.session is not None:
            asked["sessionId"] = self.session
        await self._socket.send_message(json.dumps(asked))
        with trio.fail_after(ANSWER_S):
            await event.wait()
        assert "error" not in kept[0], (method, kept[0])
        return kept[0]["result"]

    async def run(self, script):
        """What *script*, an expression or a promise, comes to."""
        done = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    async def until(self, script):
        """Wait for *script* to be true; a page that is being left is asked again."""
        with trio.fail_after(ANSWER_S):
            while not await self._holds(script):
                await trio.sleep(0.05)

    async def _holds(self, script):
        try:
            return await self.run(script)
        except AssertionError:
            return False

    async def open(self, url):
        await self.call("Page.navigate", url=url)
        await self.until("location.href !== 'about:blank' && document.readyState === 'complete'")

    async def press(self, key, code, text=""):
        """A key of the keyboard, down and up."""
        more = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **more)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **more)

    async def tab(self):
        await self.press("Tab", 9)

    async def enter(self):
        await self.press("Enter", 13, "\r")

    async def size(self, width, height=800):
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def dark(self, on):
        features = [{"name": "prefers-color-scheme", "value": "dark" if on else "light"}]
        await self.call("Emulation.setEmulatedMedia", features=features)


@asynccontextmanager
async def open_tab():
    """A browser with one empty tab, until the block ends."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with trio.open_nursery() as nursery:
            command = ["chromium", *FLAGS, f"--user-data-dir={folder}", "about:blank"]
            with open(f"{folder}/stderr", "wb") as errors:
                run = partial(trio.run_process, command, stderr=errors, check=False)
                start = await nursery.start(run)
            address = await _address(folder)
            async with open_websocket_url(address, max_message_size=MAX_ANSWER) as socket:
                tab = Tab(socket)
                nursery.start_soon(tab.read)
                made = await tab.call("Target.createTarget", url="about:blank")
                attached = await tab.call("Target.attachToTarget", targetId=made["targetId"], flatten=True)
                tab.session = attached["sessionId"]
                for domain in ("Network", "Page", "Runtime", "Log"):
                    await tab.call(f"{domain}.enable")
                yield tab
            start.terminate()
            await start.wait()


@asynccontextmanager
async def open_page(serve):
    """A page that *serve* serves, opened by its link: its tab, and the address of the page's folder."""
    links, told = [], trio.Event()

    def tell(link):
        links.append(link)
        told.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, tell)
        await told.wait()
        async with open_tab() as tab:
            await tab.open(links[0])
            yield tab, links[0].partition("/open/")[0]
        nursery.cancel_scope.cancel()


async def _address(folder):
    with trio.fail_after(START_S):
        while True:
            found = re.search(
                rb"DevTools listening on (ws://\S+)", await trio.Path(f"{folder}/stderr").read_bytes()
            )
            if found:
                return found[1].decode()
            await trio.sleep(0.05)
