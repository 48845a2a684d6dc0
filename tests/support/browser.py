"""A headless browser: Debian's Chromium, controlled by the DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/
"""

import asyncio
import base64
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

INSTALL = (
    ["apt-get", "update", "-o", "DPkg::Lock::Timeout=300"],
    ["apt-get", "install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", "chromium"],
)
SECONDS = 60  # per message


def chromium() -> str:
    """Path of the browser; installed if missing."""
    if not shutil.which("chromium"):
        for command in INSTALL:
            subprocess.run(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, check=True)
    found = shutil.which("chromium")
    assert found, "Chromium is missing: apt-get install chromium"
    return found


@dataclass
class Page:
    """An open page, with its script errors, console messages and requested URLs."""

    _socket: aiohttp.ClientWebSocketResponse
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _last: int = 0

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result; record events received meanwhile."""
        self._last += 1
        await self._socket.send_json({"id": self._last, "method": method, "params": parameters})
        answer = await self._until(lambda message: message.get("id") == self._last)
        result: dict[str, Any] = answer["result"]
        return result

    async def open(self, address: str, *, width: int = 1100, dark: bool = False) -> None:
        """Navigate to a page and wait until it has loaded."""
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.call(f"{domain}.enable")
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", features=scheme)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.call("Emulation.setDeviceMetricsOverride", **size)
        await self.call("Page.navigate", url=address)
        await self._until(lambda message: message.get("method") == "Page.loadEventFired")

    async def evaluate(self, expression: str) -> Any:
        """Evaluate a JavaScript expression and return its value."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    async def screenshot(self) -> bytes:
        """The whole page as PNG."""
        answer = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    async def _until(self, is_expected: Any) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(await self._socket.receive_str(timeout=SECONDS))
            self._record(message.get("method", ""), message.get("params", {}))
            if is_expected(message):
                return message

    def _record(self, method: str, parameters: dict[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown":
                self.errors.append(str(parameters["exceptionDetails"]["text"]))
            case "Runtime.consoleAPICalled":
                self.errors.append(str(parameters["args"]))
            case "Log.entryAdded":
                self.errors.append(str(parameters["entry"]["text"]))
            case "Network.requestWillBeSent":
                self.requests.append(str(parameters["request"]["url"]))


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Page]:
    """Run Chromium with an empty page and its profile in `profile`. It can reach no host."""
    command = [
        chromium(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-first-run", "--disable-sync"]
    command += ["--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        port = await _port(process)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [entry for entry in await answer.json() if entry["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=1 << 26) as socket:
                yield Page(socket)
    finally:
        process.kill()
        await process.wait()


async def _port(process: asyncio.subprocess.Process) -> int:
    """Port from Chromium's startup message."""
    assert process.stderr
    output = []
    while line := (await asyncio.wait_for(process.stderr.readline(), SECONDS)).decode():
        output.append(line)
        if "DevTools listening on ws://" in line:
            return int(line.partition("127.0.0.1:")[2].partition("/")[0])
    raise AssertionError(f"Chromium did not start: {''.join(output)}")
