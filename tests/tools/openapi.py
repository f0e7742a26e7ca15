"""Judges answers of the admin port by its OpenAPI document.

Usage: openapi.py DOCUMENT ANSWERS

ANSWERS has a JSON object on each line: `method`, `path`, `status`, `body` and `asked` (the request's
body), or `event` and `body` for one server-sent event. Each must be described, each JSON body must fit
its schema, and each path and method of the document must have been met with a success, or for paths
that never succeed here with some answer.
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
        met.add((found[0], method))
        content = response.get("content", {}).get("application/json")
        if content and told["method"] != "HEAD":
            check(content["schema"], told["body"], where)
        asked = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if told["asked"] is not None and told["status"] < 300:
            if asked is None:
                wrong.append(f"{where}: a body is asked for that is not described")
            else:
                check(asked["schema"], told["asked"], where + ", the request")

    for path, methods in document["paths"].items():
        for method in methods:
            if (path, method) not in met:
                wrong.append(f"{method.upper()} {path} is described, and was never asked for")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
