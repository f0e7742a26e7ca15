"""Judges answers of the admin port by its OpenAPI document.

Usage: openapi.py DOCUMENT ANSWERS

ANSWERS has a JSON object on each line: `method`, `path`, `status`, `body` and `asked` (the request's
body), or `event` and `body` for one server-sent event. Each must be described, each JSON body must fit
its schema, and each status that the document has for a path and method must have been met, but for those
of NOT_MET.
"""

import json
import re
import sys

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

# What the data of an event is.
EVENTS = {
    "snapshot": {"$ref": "urn:doc#/components/schemas/Snapshot"},
    "sessions": {"type": "array", "items": {"$ref": "urn:doc#/components/schemas/Session"}},
    "ended": {"type": "array", "items": {"$ref": "urn:doc#/components/schemas/Session"}},
    "live": {"type": "object", "maxProperties": 0},
    "session": {"$ref": "urn:doc#/components/schemas/News"},
    "workers": {"type": "array", "items": {"$ref": "urn:doc#/components/schemas/Worker"}},
    "rollout": {"$ref": "urn:doc#/components/schemas/Rollout"},
    "phase": {"type": "object", "required": ["phase"]},
    "counters": {"$ref": "urn:doc#/components/schemas/Counters"},
}


# What the test that this judges cannot bring about: path (`*`: any), method, status, and why.
NOT_MET = {
    ("*", "get", "401"): "the edge listens on loopback, where looking takes no token; security::admin asks from elsewhere",
    ("/readyz", "get", "200"): "one of its pools has no worker",
    ("*", "post", "408"): "takes ten seconds",
    ("/sessions/{name}/inputs", "post", "409"): "the moment in which a call ends is too short to be hit",
    ("/sessions/{name}/inputs", "post", "504"): "a call's task would have to hang",
    ("/sessions/{name}/move", "post", "504"): "a call's task would have to hang",
}


def excused(*it):
    return any(fits(kind, *it) for kind in NOT_MET)


def fits(kind, path, method, status):
    return kind[0] in ("*", path) and kind[1:] == (method, status)


def main(document_path, answers_path):
    text = open(document_path, encoding="utf-8").read()
    document = json.loads(text)
    # References are to the document, from wherever a schema is looked at.
    document = json.loads(text.replace('"#/components/', '"urn:doc#/components/'))
    resource = Resource.from_contents(document, default_specification=DRAFT202012)
    registry = Registry().with_resource("urn:doc", resource)
    templates = {
        re.compile("^" + re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path)) + "$"): path
        for path in document["paths"]
    }
    wrong, met = [], set()

    def check(schema, value, where):
        validator = Draft202012Validator(schema, registry=registry)
        for error in validator.iter_errors(value):
            wrong.append(f"{where}: {error.json_path}: {error.message[:300]}")

    for name, schema in document["components"]["schemas"].items():
        try:
            Draft202012Validator.check_schema(schema)
        except Exception as error:  # noqa: BLE001
            wrong.append(f"schema {name}: {error}")

    for line in open(answers_path, encoding="utf-8"):
        told = json.loads(line)
        if "event" in told:
            if told["event"] not in EVENTS:
                wrong.append(f"event `{told['event']}` is not described")
            else:
                check(EVENTS[told["event"]], told["body"], f"event {told['event']}")
            continue
        path = told["path"].split("?")[0]
        method = {"HEAD": "get"}.get(told["method"], told["method"].lower())
        where = f"{told['method']} {told['path']} -> {told['status']}"
        found = [templates[pattern] for pattern in templates if pattern.match(path)]
        # A path without a name in it goes before one with one.
        found = sorted(found, key=lambda template: "{" in template)[:1]
        if not found or method not in document["paths"][found[0]]:
            wrong.append(f"{where}: no such path and method")
            continue
        operation = document["paths"][found[0]][method]
        response = operation["responses"].get(str(told["status"]))
        if response is None:
            wrong.append(f"{where}: this status is not described")
            continue
        met.add((found[0], method, str(told["status"])))
        content = response.get("content", {}).get("application/json")
        if content and told["method"] != "HEAD":
            check(content["schema"], told["body"], where)
        asked = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if told["asked"] is not None and told["status"] < 300:
            if asked is None:
                wrong.append(f"{where}: a body is asked for that is not described")
            else:
                check(asked["schema"], told["asked"], where + ", the request")

    described = {
        (path, method, status)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for status in operation["responses"]
    }
    missing = described - met
    for path, method, status in sorted(missing):
        if not excused(path, method, status):
            wrong.append(f"{method.upper()} {path} -> {status} is described, and was never met")
    for kind in NOT_MET:
        if not any(fits(kind, *it) for it in missing):
            wrong.append(f"{kind} is excused, and is met or not described")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
