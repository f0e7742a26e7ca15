"""An upgrade from the last release changes no field that Kubernetes would refuse to change, and renames
nothing that holds calls.

released.json is what the last release rendered. It is written once for each release of the chart, never
to make this test pass: HOLDLINE_RELEASE=1 cargo test -p holdline chart"""

import json
import os
import unittest

from charts import HERE, cases, key, objects

RELEASED = HERE / "released.json"


def immutable(it):
    """The fields of an object that cannot be changed, by kind."""
    spec = it.get("spec", {})
    match it["kind"]:
        case "Deployment":
            return {"selector": spec["selector"]}
        case "StatefulSet":
            names = ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates")
            return {name: spec.get(name) for name in names}
        case "Service":
            return {"headless": spec.get("clusterIP") == "None"}
        case "RoleBinding":
            return {"roleRef": it["roleRef"]}
        case _:
            return None


def snapshot():
    return {
        name: {key(it): fields for it in objects(values) if (fields := immutable(it)) is not None}
        for name, values in cases().items()
    }


class Upgrade(unittest.TestCase):
    def test_no_immutable_field_changes(self):
        if os.environ.get("HOLDLINE_RELEASE"):
            RELEASED.write_text(json.dumps(snapshot(), indent=1, sort_keys=True) + "\n")
        released, now = json.loads(RELEASED.read_text()), snapshot()
        for name, then in released.items():
            for it, fields in then.items():
                with self.subTest(case=name, object=it):
                    self.assertEqual(now[name].get(it), fields)


if __name__ == "__main__":
    unittest.main()
