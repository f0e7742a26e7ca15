#!/usr/bin/env python3
"""Makes top.svg: what `holdline top` shows in the middle of the demo's rolling deploy.

    cargo build --release -p holdline
    docs/top.py target/release/holdline docs/top.svg

It starts the demo, has its edge move one call a second, so that there is something to see, runs top on a terminal
of its own, and keeps the frame in which a worker drains and the calls are nearest to half moved. Words and what is
coloured are top's own.
"""
import fcntl
import html
import os
import pathlib
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios

WIDE, HIGH, MARGIN, BAR = 7.8, 18, 20, 34
ROWS, COLUMNS = 28, 128
# What a terminal makes of the numbers of its colours.
COLOURS = {"31": "#f85149", "32": "#56d364", "33": "#e3b341", "34": "#6cb0ff", "35": "#d2a8ff", "36": "#39c5cf", "94": "#79c0ff"}
INK = re.compile(r"\x1b\[(\d+)m(.*?)\x1b\[0m")


def looks(holdline, folder):
    """Everything that top shows from the beginning of the deploy to its end."""
    demo = subprocess.Popen([holdline, "demo", "--calls", "12", "--out", folder], stdout=subprocess.PIPE, text=True)
    next(line for line in demo.stdout if "on the line" in line)
    file = pathlib.Path(folder) / "edge.yaml"
    edge = file.read_text()
    file.write_text(re.sub(r"^( *)(discovery:)", r"\1handoffs_per_second: 1\n\1\2", edge, flags=re.M))
    port = re.search(r"^admin:.*?127\.0\.0\.1:(\d+)", edge, re.M | re.S).group(1)
    next(line for line in demo.stdout if "rolling deploy" in line)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    command = [holdline, "top", "--interval", "300ms", "--admin", f"http://127.0.0.1:{port}"]
    variables = {**os.environ, "TERM": "xterm-256color"}
    variables.pop("NO_COLOR", None)
    top = subprocess.Popen(command, stdin=slave, stdout=slave, env=variables)
    said, seen = "", []
    while not seen or count(seen[-1], "v1"):
        said += os.read(master, 65536).decode()
        *frames, said = said.split("\x1b[J")
        seen += [frame.split("\x1b[H")[-1].replace("\x1b[K", "").replace("\r", "") for frame in frames]
    os.write(master, b"q")
    top.wait()
    # The demo ends what it started.
    demo.communicate()
    return seen


def plain(text):
    return INK.sub(r"\2", text)


def count(look, version):
    """Calls on this version."""
    calls = plain(look).split("\nSESSION ")[-1].splitlines()[1:]
    return sum(version in line.split() for line in calls)


def told(look):
    """How much a look tells: a worker that drains, with some of its calls left, and calls on both versions."""
    left = re.findall(r" draining +(\d+) +(\d+) ", plain(look))
    half = any(0 < int(calls) < int(of) for calls, of in left)
    return (half, min(count(look, "v1"), count(look, "v2")))


def cells(text):
    """Its words with their places and looks."""
    at = end = 0
    for ink in INK.finditer(text):
        yield from words(text[end:ink.start()], at, "")
        at += ink.start() - end
        number = ink.group(1)
        yield from words(ink.group(2), at, ' font-weight="600"' if number == "1" else f' fill="{COLOURS[number]}"')
        at += len(ink.group(2))
        end = ink.end()
    yield from words(text[end:], at, "")


def words(text, at, look):
    for word in re.finditer(r"\S+(?: \S+)*", text):
        yield at + word.start(), word.group(), look


def line(text, y):
    """Every cell at its own place, whatever font there is."""
    spans = [f'<tspan x="{MARGIN + at * WIDE:.1f}"{look}>{html.escape(word)}</tspan>' for at, word, look in cells(text)]
    return f'<text y="{y}">{"".join(spans)}</text>'


def picture(look):
    lines = look.rstrip().splitlines()
    width = max(len(plain(text)) for text in lines) * WIDE + 2 * MARGIN
    height = len(lines) * HIGH + BAR + MARGIN
    dots = [f'<circle cx="{MARGIN + 18 * at}" cy="17" r="5.5" fill="{fill}"/>' for at, fill in enumerate(["#ff5f57", "#febc2e", "#28c840"])]
    texts = [line(text, BAR + HIGH * (at + 1) - 5) for at, text in enumerate(lines) if text]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}"'
        ' font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="13" fill="#e6edf3">',
        '<rect width="100%" height="100%" rx="10" fill="#0d1117"/>',
        *dots,
        '<text x="50%" y="21" text-anchor="middle" fill="#8b949e">holdline top</text>',
        *texts,
        "</svg>\n",
    ])


if __name__ == "__main__":
    holdline, out = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(out).write_text(picture(max(looks(holdline, folder), key=told)))
