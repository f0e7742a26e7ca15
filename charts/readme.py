#!/usr/bin/env python3
"""Makes what documents the chart's values: the table in holdline/README.md and the descriptions in
holdline/values.schema.json. Both come from the comments of holdline/values.yaml, so that there is one
place to write them.

A comment that begins with `# --` tells what the key below it is for, and so does one without `--`
above a section. Usage: charts/readme.py (needs PyYAML); the tests look whether it was run."""

import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).parent / "holdline"
KEY = re.compile(r"^( *)([A-Za-z][A-Za-z0-9]*):")
BEGIN = "<!-- values: made by charts/readme.py -->\n"


def comments(text):
    """Yields (path, comment, whether it documents a value and not a section) of each key."""
    parents, pending = [], []
    for line in text.splitlines():
        stripped = line.strip()
        key = KEY.match(line)
        if stripped.startswith("#"):
            pending.append(stripped.lstrip("#").strip())
            continue
        if key:
            depth = len(key[1]) // 2
            parents[depth:] = [key[2]]
            words = " ".join(pending)
            yield tuple(parents), words.removeprefix("-- "), words.startswith("-- ")
        pending = []


def default_of(values, path):
    for key in path:
        values = values[key]
    return json.dumps(values, ensure_ascii=False)


def table(text, values):
    """The table, section by section; a value without a section of its own stands in the one before."""
    lines = []
    for path, comment, is_value in comments(text):
        if is_value:
            lines = lines or head()
            default = default_of(values, path).replace("|", "\\|")
            comment = comment.replace("|", "\\|")
            lines.append(f"| `{'.'.join(path)}` | `{default}` | {comment} |")
        elif len(path) == 1:
            lines += ["", f"### {path[0]}", ""] + ([comment, ""] if comment else []) + head()
    return "\n".join(lines) + "\n"


def head():
    return ["| value | default | what it is |", "|---|---|---|"]


def readme(text, values, old):
    kept = old[: old.index(BEGIN) + len(BEGIN)]
    return kept + "\n" + table(text, values)


def schema(text, old):
    """The same schema, with every comment as its key's description."""
    schema = json.loads(old)
    for path, comment, _ in comments(text):
        place = schema
        for key in path:
            place = place.get("properties", {}).get(key)
            if place is None:
                break
        if place is not None and comment:
            place["description"] = comment
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def made():
    """What the files should hold, by their path."""
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    files = {
        CHART / "README.md": lambda old: readme(text, values, old),
        CHART / "values.schema.json": lambda old: schema(text, old),
    }
    return {path: make(path.read_text()) for path, make in files.items()}


if __name__ == "__main__":
    for path, text in made().items():
        path.write_text(text)
    sys.exit(0)
