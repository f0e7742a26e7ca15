#!/usr/bin/env python3
"""Makes top.svg: what `holdline top` shows in the middle of the demo's rolling deploy.

    cargo build --release -p holdline
    docs/top.py target/release/holdline docs/top.svg

It starts the demo, asks its edge again and again while workers are replaced, and keeps the look in which
a worker drains and the calls are nearest to half moved. The words are top's own; the colours are ours.
"""
import html
import pathlib
import re
import subprocess
import sys
import tempfile

WIDE, HIGH, MARGIN, BAR = 7.8, 18, 20, 34
COLOURS = {"HEAD": "#8b949e", "draining": "#e3b341", "ready": "#56d364", "lost": "#f85149", "v1": "#79c0ff", "v2": "#ffa657"}


def looks(holdline, folder):
    """Everything that top shows from the beginning of the deploy to its end."""
    demo = subprocess.Popen([holdline, "demo", "--out", folder], stdout=subprocess.PIPE, text=True)
    next(line for line in demo.stdout if "rolling deploy" in line)
    edge = (pathlib.Path(folder) / "edge.yaml").read_text()
    port = re.search(r"^admin:.*?127\.0\.0\.1:(\d+)", edge, re.M | re.S).group(1)
    top = [holdline, "top", "--once", "--admin", f"http://127.0.0.1:{port}"]
    seen = []
    while not seen or count(seen[-1], "v1"):
        seen.append(subprocess.run(top, stdout=subprocess.PIPE, text=True, check=True).stdout)
    # The demo ends what it started.
    demo.communicate()
    return seen


def count(look, version):
    """Calls on this version."""
    calls = look.split("\nSESSION ")[-1].splitlines()[1:]
    return sum(version in line.split() for line in calls)


def told(look):
    """How much a look tells: a worker that drains, with some of its calls left, and calls on both versions."""
    left = [int(calls) for calls in re.findall(r" draining +(\d+) ", look)]
    return (any(left), min(count(look, "v1"), count(look, "v2")))


def line(text, y, weight):
    """Every cell at its own place, whatever font there is."""
    cells = []
    for cell in re.finditer(r"\S+(?: \S+)*", text):
        word = cell.group()
        fill = COLOURS["HEAD"] if text.isupper() else COLOURS.get(word)
        fill = f' fill="{fill}"' if fill else ""
        cells.append(f'<tspan x="{MARGIN + cell.start() * WIDE:.1f}"{fill}>{html.escape(word)}</tspan>')
    return f'<text y="{y}" font-weight="{weight}">{"".join(cells)}</text>'


def picture(look):
    lines = look.rstrip().splitlines()
    width = max(map(len, lines)) * WIDE + 2 * MARGIN
    height = len(lines) * HIGH + BAR + MARGIN
    dots = [f'<circle cx="{MARGIN + 18 * at}" cy="17" r="5.5" fill="{fill}"/>' for at, fill in enumerate(["#ff5f57", "#febc2e", "#28c840"])]
    texts = [line(text, BAR + HIGH * (at + 1) - 5, 400 if at else 600) for at, text in enumerate(lines) if text]
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
