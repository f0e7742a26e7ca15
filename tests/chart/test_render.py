"""What comes out of the chart is valid, complete and as it was."""

import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import unittest

import helm_python as helm
import kubernetes_validate
import yaml

import crds
from charts import CHART, HERE, REGENERATE, cases, containers, key, objects, one, pods, templates

VERSIONS = ["1.33", "1.34", "1.35", "1.36", "1.37"]


class Render(unittest.TestCase):
    def test_there_are_values_files_for_every_way(self):
        self.assertGreaterEqual(len(cases()), 8)

    def test_helm_lint_has_nothing_to_say(self):
        for name, values in cases().items():
            report = helm.lint(CHART, values, strict=True)
            said = [it for it in report["messages"] if it["severity"] > 1] + report["errors"]
            self.assertEqual(said, [], name)

    def test_kubernetes_knows_every_field(self):
        for name, values in cases().items():
            for it in objects(values):
                with self.subTest(case=name, object=key(it)):
                    if crds.covers(it):
                        crds.validate(it)
                        continue
                    for version in VERSIONS:
                        kubernetes_validate.validate(it, version, strict=True)

    def test_a_field_that_kubernetes_does_not_know_is_found(self):
        service = one(objects(cases()["default"]), "Service", "-workers")
        service["spec"]["publishNotReady"] = True
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(service, "1.36", strict=True)

    def test_renders_are_as_committed(self):
        """After a change on purpose: HOLDLINE_REGENERATE=1 cargo test -p holdline chart"""
        for name, values in cases().items():
            parts = sorted(templates(values).items())
            text = "\n".join(f"# {path}\n{clean(part)}" for path, part in parts if part.strip())
            golden = HERE / "golden" / f"{name}.yaml"
            if REGENERATE:
                golden.write_text(text)
            self.assertEqual(text, golden.read_text(), f"{golden}: regenerate it if this is meant")

    def test_names_are_short_enough_for_the_longest_release(self):
        values = cases()["hpa"] | {"nameOverride": "n" * 63}
        with helm.Chart.load(CHART) as chart:
            rendered = chart.render(values, name="r" * 53, namespace="voice")
        for text in rendered.values():
            for it in yaml.safe_load_all(text) if "kind:" in text else []:
                if it:
                    self.assertLessEqual(len(it["metadata"]["name"]), 63, key(it))

    def test_every_pod_fits_the_restricted_standard(self):
        for name, values in cases().items():
            for workload, pod in pods(objects(values)):
                for container in containers(pod):
                    context = container["securityContext"]
                    with self.subTest(case=name, workload=workload, container=container["name"]):
                        self.assertTrue(context["runAsNonRoot"])
                        self.assertTrue(context["readOnlyRootFilesystem"])
                        self.assertFalse(context["allowPrivilegeEscalation"])
                        self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
                        self.assertEqual(context["seccompProfile"], {"type": "RuntimeDefault"})

    def test_no_probe_and_no_hook_needs_a_shell(self):
        for name, values in cases().items():
            for workload, pod in pods(objects(values)):
                text = yaml.safe_dump(pod)
                self.assertNotIn("exec:", text, f"{name} {workload}")

    def test_alerts_come_when_they_should_and_not_else(self):
        """Judged by Prometheus' own tool, by the cases in alerts.yaml."""
        rule = one(objects(cases()["statefulset"]), "PrometheusRule")
        self.assertNotIn("@", yaml.safe_dump(rule["spec"]))
        with tempfile.TemporaryDirectory() as folder:
            rules = pathlib.Path(folder) / "rules.yaml"
            rules.write_text(yaml.safe_dump(rule["spec"]))
            keda = pathlib.Path(folder) / "keda.yaml"
            keda.write_text(yaml.safe_dump({"groups": [{"name": "keda", "rules": [self.keda()]}]}))
            shutil.copy(HERE / "alerts.yaml", folder)
            test = f"{folder}/alerts.yaml"
            for arguments in (["check", "rules", rules, keda], ["test", "rules", test]):
                try:
                    told = subprocess.run(["promtool", *arguments], capture_output=True, text=True)
                except FileNotFoundError:
                    self.fail("`promtool` is not there: `tests/run` installs it (Debian: prometheus)")
                self.assertEqual(told.returncode, 0, told.stdout + told.stderr)

    def keda(self):
        """What KEDA asks, as a rule: its answer is recorded as `asked`."""
        (trigger,) = one(objects(cases()["keda"]), "ScaledObject")["spec"]["triggers"]
        return {"record": "asked", "expr": trigger["metadata"]["query"]}

    def test_the_package_holds_what_is_needed(self):
        with tempfile.TemporaryDirectory() as folder:
            with tarfile.open(helm.package(CHART, destination=folder)) as archive:
                packed = {name.removeprefix("holdline/") for name in archive.getnames()}
        self.assertLess({"Chart.yaml", "values.schema.json", "files/alerts.yaml", "files/dashboard.json"}, packed)
        self.assertEqual([name for name in packed if name.startswith("ci/")], [])


def clean(text):
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


if __name__ == "__main__":
    unittest.main()
