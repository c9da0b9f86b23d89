"""A headless Chromium for tests: real clicks and keys, over its DevTools pipe."""

from __future__ import annotations

import base64
import json
import select
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--headless",
    "--no-sandbox",  # or it does not start as root; it sees nothing but our own page
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)
AT_PIPE = """
import os, sys
for number in (3, 4):
    os.dup2(int(sys.argv[1]), number)
os.execv(sys.argv[2], sys.argv[2:])
"""
TIMEOUT_S = 60
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowRight": 39}
TYPED = {"Enter": "\r", " ": " "}
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
PLACE = """(() => {
    const element = document.querySelector(%s);
    element.scrollIntoView({ block: "center", behavior: "instant" });
    const { x, y, width, height } = element.getBoundingClientRect();
    return { x, y, width, height };
})()"""


def find_chromium() -> str | None:
    """Path of an installed Chromium or Chrome."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def open_browser(program: str, profile: Path) -> Iterator[Browser]:
    """Start a browser; `profile` is an empty folder for its files."""
    ours, theirs = socket.socketpair()
    command = [program, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(
        [sys.executable, "-c", AT_PIPE, str(theirs.fileno()), *command],
        pass_fds=[theirs.fileno()],
        stderr=subprocess.DEVNULL,
    )
    theirs.close()
    try:
        with ours:
            yield Browser(ours)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Browser:
    """One page; `events` is what the browser told of it since it was opened."""

    def __init__(self, pipe: socket.socket) -> None:
        self.events: list[dict[str, Any]] = []
        self._pipe, self._received, self._n_sent = pipe, b"", 0
        self._session: dict[str, str] = {}
        target = self.call("Target.createTarget", url="about:blank")
        attached = self.call("Target.attachToTarget", **target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(1280, 900)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command, and wait for its answer."""
        self._n_sent += 1
        message = {"id": self._n_sent, "method": method, "params": params, **self._session}
        self._pipe.sendall(json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._n_sent:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._pipe], [], [], TIMEOUT_S)
            data = self._pipe.recv(1 << 20) if ready else b""
            if not data:
                raise RuntimeError("the browser does not answer")
            self._received += data
        message, self._received = self._received.split(b"\0", 1)
        return json.loads(message)

    def open(self, url: str) -> None:
        """Load a page, and wait for it."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not self.told("Page.loadEventFired"):
            self.events.append(self._receive())
        self.run(DRAWN)

    def told(self, method: str) -> list[dict[str, Any]]:
        """The events of a kind."""
        return [event["params"] for event in self.events if event.get("method") == method]

    def resize(self, width: int, height: int) -> None:
        """Set the size of the window, px."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def prefer(self, scheme: str) -> None:
        """Ask for "light" or "dark" colours, and for no motion."""
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        self.call("Emulation.setEmulatedMedia", features=features)

    def run(self, script: str) -> Any:
        """Value of a JavaScript expression in the page."""
        wanted = {"returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", expression=script, **wanted)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def place(self, selector: str) -> dict[str, float]:
        """x, y, width and height of an element in the window, after scrolling to it."""
        return self.run(PLACE % json.dumps(selector))

    def click(self, selector: str) -> None:
        """Press and release the left button in the middle of an element."""
        at = self.place(selector)
        spot = {"x": at["x"] + at["width"] / 2, "y": at["y"] + at["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **spot)
        self.run(DRAWN)

    def press(self, key: str) -> None:
        """Press and release a key."""
        codes = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=TYPED.get(key, ""), **codes)
        self.call("Input.dispatchKeyEvent", type="keyUp", **codes)
        self.run(DRAWN)

    def look(self, selector: str) -> np.ndarray:
        """(H, W, 3) int64 pixels of the window where an element is, the mouse out of the way."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=0, y=0)
        at = {name: round(value) for name, value in self.place(selector).items()}
        self.run(DRAWN)
        data = base64.b64decode(self.call("Page.captureScreenshot")["data"])
        pixels = np.asarray(Image.open(BytesIO(data)).convert("RGB"), np.int64)
        return pixels[at["y"] : at["y"] + at["height"], at["x"] : at["x"] + at["width"]]
