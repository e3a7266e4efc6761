"""A headless Chromium, driven through a pipe by its DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple

WIDTH: Final = 1024
HEIGHT: Final = 768
TALLEST: Final = 6_000
"""Pixels of a page that are drawn; a person does not scroll for ever."""
LEAST_SEEN: Final = 40
"""Pixels that differ where a word of five digits is seen. Letters of 12 pixels have 200; what leans
out of a black box has 10, and white digits on other black ones have 30."""
_LEVELS: Final = 48
"""Of 255, by which two pixels look different."""
_ARGUMENTS: Final = (
    "--headless=new --no-sandbox --disable-gpu --hide-scrollbars --disable-dev-shm-usage"
    " --disable-extensions --disable-background-networking --no-first-run --mute-audio"
    " --force-color-profile=srgb --disable-lcd-text --blink-settings=scriptEnabled=false"
    " --in-process-gpu --remote-debugging-pipe"
)


class Place(NamedTuple):
    """A part of the window, in pixels."""

    left: int
    top: int
    right: int
    bottom: int


class Chromium:
    """One browser with one tab. A context manager."""

    def __init__(self, program: str) -> None:
        self._profile = tempfile.mkdtemp(prefix="chromium-")
        commands_out, self._commands = os.pipe()
        self._replies, replies_in = os.pipe()
        # The browser reads commands from descriptor 3 and writes replies to descriptor 4.
        script = (
            f"exec {program} {_ARGUMENTS} --user-data-dir={self._profile}"
            f" 3<&{commands_out} 4>&{replies_in}"
        )
        self._process = subprocess.Popen(
            ["bash", "-c", script],
            pass_fds=(commands_out, replies_in),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands_out)
        os.close(replies_in)
        self._buffer = b""
        self._number = 0
        self._events: list[dict[str, Any]] = []
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        self.call("Page.enable")
        self.call("Emulation.setScriptExecutionDisabled", value=True)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=WIDTH,
            height=HEIGHT,
            deviceScaleFactor=1,
            mobile=False,
        )

    def __enter__(self) -> Chromium:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._commands)
        os.close(self._replies)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result."""
        self._number += 1
        command: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        data = json.dumps(command).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data) :]
        while True:
            reply = self._read()
            if reply.get("id") == self._number:
                if "error" in reply:
                    raise RuntimeError(f"{method}: {reply['error']}")
                result: dict[str, Any] = reply["result"]
                return result
            self._events.append(reply)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            data = os.read(self._replies, 1 << 20)
            if not data:
                raise RuntimeError("the browser has ended")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def load(self, html: str) -> None:
        """Show a page and wait until it is complete."""
        self._events.clear()
        data = base64.b64encode(html.encode("utf-8", "surrogatepass")).decode()
        self.call("Page.navigate", url=f"data:text/html;charset=utf-8;base64,{data}")
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            self._events.append(self._read())

    def replace(self, html: str) -> None:
        """Show a page that refers to no other one in place of this: three times as fast."""
        frame = self.call("Page.getFrameTree")["frameTree"]["frame"]["id"]
        self.call("Page.setDocumentContent", frameId=frame, html=html)

    def hidden_words(self, html: str, words: Mapping[str, str]) -> dict[str, bool]:
        """Whether each word is hidden: the page has the same pixels with the other word.

        Only the place of the word is drawn, and the whole page where it is larger than the window.
        """
        self.replace(html)
        places, is_larger = self._places(words)
        nodes = list(_texts(self.document()))
        hidden = {}
        for word, other in words.items():
            place = places[word]
            hidden[word] = place is None or self._is_same(nodes, word, other, place)
            if hidden[word] and is_larger and place is not None:
                hidden[word] = self._is_same(nodes, word, other, None)
        return hidden

    def _is_same(
        self, nodes: list[dict[str, Any]], word: str, other: str, place: Place | None
    ) -> bool:
        """Whether a place, or the page where it is ``None``, looks the same with the other word."""
        drawn: list[object] = []
        for shown in (word, other, word):
            for node in nodes:
                if word in node["nodeValue"]:
                    text = node["nodeValue"].replace(word, shown)
                    self.call("DOM.setNodeValue", nodeId=node["nodeId"], value=text)
            if len(drawn) < 2:
                drawn.append(self.draw() if place is None else self._draw_place(place))
        return drawn[0] == drawn[1]

    def _places(self, words: Iterable[str]) -> tuple[dict[str, Place | None], bool]:
        """Where in the window each word stands, and whether the page is larger than that.

        A word has the place ``None`` when it has no box at all.
        """
        snapshot = self.call("DOMSnapshot.captureSnapshot", computedStyles=[])
        page, strings = snapshot["documents"][0], snapshot["strings"]
        texts, layout = page["nodes"]["nodeValue"], page["layout"]
        boxes = [
            (strings[texts[node]], box)
            for node, box in zip(layout["nodeIndex"], layout["bounds"], strict=True)
            if texts[node] >= 0
        ]
        places = {word: _place([box for text, box in boxes if word in text]) for word in words}
        return places, page["contentWidth"] > WIDTH or page["contentHeight"] > HEIGHT

    def _draw_place(self, place: Place) -> str:
        if place.right <= place.left or place.bottom <= place.top:
            return ""
        clip = {
            "x": place.left,
            "y": place.top,
            "width": place.right - place.left,
            "height": place.bottom - place.top,
            "scale": 1,
        }
        drawn: str = self.call(
            "Page.captureScreenshot", format="png", optimizeForSpeed=True, clip=clip
        )["data"]
        return drawn

    def shows(self, html: str, word: str, other: str) -> bool:
        """Whether a person sees the word: more than traces of it are there."""
        drawn = []
        for page in (html, html.replace(word, other)):
            self.replace(page)
            drawn.append(self.draw())
        return any(
            sum(_differing(one, two) for one, two in zip(_rows(before), _rows(after), strict=False))
            >= LEAST_SEEN
            for before, after in zip(*drawn, strict=True)
            if before and after
        )

    def draw(self) -> tuple[str, str]:
        """The pixels of the window, and those of the whole page."""
        window = self.call("Page.captureScreenshot", format="png", optimizeForSpeed=True)["data"]
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        if size["width"] <= WIDTH and size["height"] <= HEIGHT:
            return window, ""
        page = self.call(
            "Page.captureScreenshot",
            format="png",
            optimizeForSpeed=True,
            captureBeyondViewport=True,
            clip={
                "x": 0,
                "y": 0,
                "width": min(size["width"], 2 * WIDTH),
                "height": min(size["height"], TALLEST),
                "scale": 1,
            },
        )["data"]
        return window, page

    def document(self) -> dict[str, Any]:
        """The tree of the page that is shown."""
        root: dict[str, Any] = self.call("DOM.getDocument", depth=-1, pierce=True)["root"]
        return root


def _place(boxes: list[list[float]]) -> Place | None:
    """The part of the window in which boxes may be drawn: a shadow may stand next to a letter."""
    if not boxes:
        return None
    return Place(
        max(0, int(min(box[0] for box in boxes)) - _AROUND),
        max(0, int(min(box[1] for box in boxes)) - _AROUND),
        min(WIDTH, int(max(box[0] + box[2] for box in boxes)) + _AROUND),
        min(HEIGHT, int(max(box[1] + box[3] for box in boxes)) + _AROUND),
    )


_AROUND: Final = 16
"""Pixels around a word that are drawn with it."""


def _rows(png: str) -> Iterator[bytes]:
    """The rows of an image, four or three octets for each pixel (PNG, 9: filtering)."""
    data = base64.b64decode(png)
    width, size = int.from_bytes(data[16:20]), 4 if data[25] == 6 else 3
    packed, at = b"", 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + length]
        at += 12 + length
    raw = zlib.decompress(packed)
    above = bytearray(width * size)
    for start in range(0, len(raw), width * size + 1):
        row = bytearray(raw[start + 1 : start + 1 + width * size])
        for number in range(len(row) if raw[start] else 0):
            left = row[number - size] if number >= size else 0
            corner = above[number - size] if number >= size else 0
            row[number] = (row[number] + _filtered(raw[start], left, above[number], corner)) & 255
        above = row
        yield b"".join(bytes(row[number : number + 3]) for number in range(0, len(row), size))


def _filtered(kind: int, left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    nearest = min((left, up, corner), key=lambda octet: abs(guess - octet))
    return (0, left, up, (left + up) // 2, nearest)[kind]


def _differing(one: bytes, two: bytes) -> int:
    """How many pixels of two rows look different."""
    if one == two:
        return 0
    far = [abs(first - second) >= _LEVELS for first, second in zip(one, two, strict=False)]
    return sum(any(far[at : at + 3]) for at in range(0, len(far), 3))


def _texts(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if node["nodeType"] == _TEXT_NODE:
        yield node
    for child in (*node.get("children", ()), *node.get("shadowRoots", ())):
        yield from _texts(child)


_TEXT_NODE: Final = 3
