#!/usr/bin/env python3
"""Changes of values, and whether they roll the edges. Usage: changes.py DIR CERTIFICATE KEY; there will be
the edge's file before and after each as DIR/NAME.before.yaml and DIR/NAME.after.yaml, and DIR/rolls.json.
The binary of this tree is asked which of them it takes without a restart."""

import json
import pathlib
import sys

import mounted
from charts import cases, objects, one, pods, with_values

DEFAULT = cases()["default"]
CHANGES = {
    "weights": {"pool": {"rollout": {"weights": {"v1": 90, "v2": 10}}}},
    "kill-switch": {"pool": {"rollout": {"disabled": ["v2"]}}},
    "existing": {"pool": {"existing": "eager"}},
    "eject": {"pool": {"eject": {"sessions": 9}}},
    "pace": {"pool": {"handoffs_per_second": 5}},
    "max-sessions": {"edge.maxSessions": 499},
    "notice": {"edge.drain.noticeSeconds": 30},
    "retry-after": {"edge.drain.retryAfterSeconds": 9},
    "log-level": {"edge.config": {"log": {"level": "debug"}}},
    "log-format": {"edge.config": {"log": {"level": "debug", "format": "text"}}},
    "limits": {"edge.config": {"limits": {"handshakes": 99}}},
    "tracing": {"edge.config": {"tracing": {"endpoint": "http://collector:4317"}}},
    "session": {"edge.config": {"session": {"poison_limit": 4}}},
    "connections": {"pool": {"connect_timeout": "9s", "existing": "eager"}},
    "discovery": {"discovery.kind": "dns"},
    "another-pool": {"extraPools": {"sales": {"discovery": {"dns": {"name": "sales", "port": 1}}}}},
    "upstream": {"openai.url": "wss://api.openai.com/v1/realtime?model=another"},
    "listener": {"edge.listener": {"max_connections": 99}},
    "deletion-cost": {"edge.podDeletionCost.enabled": True},
}


def rendered(values, place):
    """The edge's file, and its pod's template."""
    found = objects(values)
    text = one(found, "ConfigMap", "-edge")["data"]["holdline.yaml"]
    return text.replace(mounted.MOUNT, str(place)), dict(pods(found))["Deployment/demo-holdline-edge"]


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    mounted.write(folder, objects(DEFAULT))
    place = folder / "holdline-edge"
    before, template = rendered(DEFAULT, place)
    rolls = {}
    for name, change in CHANGES.items():
        after, changed = rendered(with_values(DEFAULT, **change), place)
        (folder / f"{name}.before.yaml").write_text(before)
        (folder / f"{name}.after.yaml").write_text(after)
        rolls[name] = template != changed
    (folder / "rolls.json").write_text(json.dumps(rolls))
