"""The documents say what the values are."""

import json
import re
import sys
import tomllib
import unittest

import yaml

from charts import CHART, PROJECT, REGENERATE, cases, objects

sys.path.insert(0, str(PROJECT / "charts"))
import readme  # noqa: E402


class Docs(unittest.TestCase):
    def test_readme_and_schema_are_fresh(self):
        """Made anew by HOLDLINE_REGENERATE=1 cargo test -p holdline chart"""
        for path, text in readme.made().items():
            if REGENERATE:
                path.write_text(text)
            self.assertEqual(path.read_text(), text, f"{path}: run charts/readme.py")

    def test_the_chart_installs_the_binary_of_this_tree(self):
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        cargo = tomllib.loads((PROJECT / "Cargo.toml").read_text())
        self.assertEqual(chart["appVersion"], cargo["workspace"]["package"]["version"])

    def test_values_in_the_documents_can_be_rendered(self):
        rendered = 0
        for name in ("kubernetes", "load-balancers"):
            text = (PROJECT / f"docs/{name}.md").read_text()
            for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
                if "{{" in block:
                    continue
                values = next(yaml.safe_load_all(block))
                values = values.get("holdline", values)
                with self.subTest(page=name, block=block):
                    objects(merged(cases()["default"], values))
                    rendered += 1
        self.assertGreaterEqual(rendered, 6)

    def test_every_value_is_told(self):
        comments = readme.comments((CHART / "values.yaml").read_text())
        told = {path for path, _, is_value in comments if is_value}
        for path in leaves(SCHEMA):
            ways = {path[:length] for length in range(1, len(path) + 1)}
            self.assertTrue(ways & told, f"say in values.yaml what {'.'.join(path)} is")

    def test_values_and_schema_have_the_same_keys(self):
        values = yaml.safe_load((CHART / "values.yaml").read_text())
        for path in sorted({path[:length] for path in leaves(SCHEMA) for length in range(len(path))}):
            schema, value = SCHEMA, values
            for key in path:
                schema, value = schema["properties"][key], value[key]
            with self.subTest(".".join(path)):
                self.assertFalse(schema["additionalProperties"])
                # An empty default of something that Kubernetes or Holdline tells the keys of.
                if value:
                    self.assertEqual(set(schema["properties"]) - HELM - KUBERNETES, set(value))


SCHEMA = json.loads((CHART / "values.schema.json").read_text())
# Helm's own key, and one of Kubernetes that has no default.
HELM, KUBERNETES = {"global"}, {"claims"}


def merged(values, others):
    """As Helm merges values files."""
    if not (isinstance(values, dict) and isinstance(others, dict)):
        return others
    return values | {key: merged(values.get(key), value) for key, value in others.items()}


def leaves(schema, path=()):
    """Paths of the keys below which the schema names none."""
    for key, place in schema["properties"].items():
        if key in HELM:
            continue
        if "properties" in place:
            yield from leaves(place, (*path, key))
        else:
            yield (*path, key)


if __name__ == "__main__":
    unittest.main()
