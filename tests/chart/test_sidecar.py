"""The edge in other pods."""

import shutil
import tempfile
import unittest
from pathlib import Path

import kubernetes_validate

from charts import CHART, HERE, cases, objects, one


class Sidecar(unittest.TestCase):
    def setUp(self):
        found = objects(cases()["sidecar-worker"])
        self.found = found
        self.pod = one(found, "Deployment", "-worker")["spec"]["template"]

    def test_it_is_a_native_one(self):
        (edge,) = self.pod["spec"]["initContainers"]
        self.assertEqual(edge["restartPolicy"], "Always")
        # Ready needs a worker, and the worker starts after this probe: it must not ask for that.
        self.assertEqual(edge["startupProbe"]["httpGet"]["path"], "/livez")
        self.assertEqual(edge["readinessProbe"]["httpGet"]["path"], "/readyz")
        self.assertNotIn("lifecycle", edge)

    def test_the_first_pod_can_become_ready(self):
        workers = one(self.found, "Service", "-workers")
        self.assertTrue(workers["spec"]["publishNotReadyAddresses"])

    def test_services_find_it(self):
        labels = self.pod["metadata"]["labels"].items()
        for suffix in ("demo-holdline", "-admin", "-workers"):
            service = one(self.found, "Service", suffix)
            self.assertLessEqual(service["spec"]["selector"].items(), labels, suffix)

    def test_there_is_no_other_edge(self):
        self.assertEqual([it["metadata"]["name"] for it in self.found if it["kind"] == "Deployment"], ["demo-holdline-worker"])

    def test_another_chart_can_have_it_in_its_pods(self):
        with tempfile.TemporaryDirectory() as folder:
            parent = shutil.copytree(HERE / "parent", Path(folder) / "parent")
            shutil.copytree(CHART, parent / "charts/holdline")
            found = objects({}, parent)
        app = one(found, "Deployment", "-app")
        kubernetes_validate.validate(app, "1.36", strict=True)
        pod = app["spec"]["template"]
        (edge,) = pod["spec"]["initContainers"]
        self.assertEqual((edge["name"], edge["restartPolicy"]), ("holdline-edge", "Always"))
        self.assertEqual(pod["spec"]["terminationGracePeriodSeconds"], 3675)
        mounted = {it["name"] for it in edge["volumeMounts"]}
        self.assertLessEqual(mounted, {it["name"] for it in pod["spec"]["volumes"]})
        config = one(found, "ConfigMap", "-edge")["metadata"]["name"]
        self.assertIn({"name": "holdline-config", "configMap": {"name": config}}, pod["spec"]["volumes"])
        service = one(found, "Service", config.removesuffix("-edge"))
        self.assertLessEqual(service["spec"]["selector"].items(), pod["metadata"]["labels"].items())
        binding = one(found, "RoleBinding", "-discovery")
        self.assertEqual(binding["subjects"][0]["name"], pod["spec"]["serviceAccountName"])


if __name__ == "__main__":
    unittest.main()
