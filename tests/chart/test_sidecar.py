"""The edge in other pods."""

import shutil
import tempfile
import unittest
from pathlib import Path

import kubernetes_validate

from charts import CHART, HERE, api_files, cases, containers, notes, objects, one, with_values


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

    def test_pods_with_calls_are_not_taken_away_from_idle_workers(self):
        scaled = with_values(cases()["sidecar-worker"], **{"worker.autoscaling": {"enabled": True, "maxReplicas": 7}})
        down = {"autoscaling.scaleDown": True, "edge.podDeletionCost.enabled": True}
        policies = [{"type": "Pods", "value": 1, "periodSeconds": 600}]
        for values, behavior in (
            (scaled, {"selectPolicy": "Disabled"}),
            (with_values(scaled, **down), {"stabilizationWindowSeconds": 600, "policies": policies}),
        ):
            scaler = one(objects(values), "HorizontalPodAutoscaler", "-worker")
            kubernetes_validate.validate(scaler, "1.36", strict=True)
            self.assertEqual(scaler["spec"]["behavior"]["scaleDown"], behavior)
        self.assertIn("x 7 pods =", notes(scaled))
        # Workers by themselves are: their calls move.
        alone = objects(with_values(cases()["default"], **{"worker.autoscaling.enabled": True}))
        self.assertNotIn("behavior", one(alone, "HorizontalPodAutoscaler", "-worker")["spec"])

    def test_another_chart_can_have_it_in_its_pods(self):
        for values in ({}, cases()["sidecar-app"]):
            with self.subTest(values=values):
                self.is_in_pods_of_an_app(self.parent(values))

    def test_it_needs_no_token_in_pods_of_an_app_where_it_does_not_ask(self):
        spec = one(self.parent({"discovery": {"kind": "dns"}}), "Deployment", "-app")["spec"]["template"]["spec"]
        self.assertEqual([it for it in spec["volumes"] if "projected" in it], [])

    def test_an_app_s_own_ports_stay_open(self):
        found = self.parent({"networkPolicy": {"callersFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}})
        labels = one(found, "Deployment", "-app")["spec"]["template"]["metadata"]["labels"].items()
        policies = {
            it["metadata"]["name"]: it["spec"]["ingress"]
            for it in found
            if it["kind"] == "NetworkPolicy" and it["spec"]["podSelector"]["matchLabels"].items() <= labels
        }
        # Any policy of the chart's own would close what it does not know of.
        self.assertEqual(set(policies), {"demo-app"})
        let_in = {rule["ports"][0]["port"]: rule.get("from") for rule in policies["demo-app"]}
        self.assertEqual(set(let_in), {3000, 8080, 9090})
        self.assertIsNone(let_in[3000])
        self.assertEqual(let_in[8080], [{"ipBlock": {"cidr": "10.0.0.0/8"}}])

    def parent(self, values):
        """What the chart of an app comes to, which has this one as a dependency, with these values."""
        with tempfile.TemporaryDirectory() as folder:
            parent = shutil.copytree(HERE / "parent", Path(folder) / "parent")
            shutil.copytree(CHART, parent / "charts/holdline")
            return objects({"holdline": values}, parent)

    def is_in_pods_of_an_app(self, found):
        app = one(found, "Deployment", "-app")
        kubernetes_validate.validate(app, "1.36", strict=True)
        pod = app["spec"]["template"]
        (edge,) = pod["spec"]["initContainers"]
        self.assertEqual((edge["name"], edge["restartPolicy"]), ("holdline-edge", "Always"))
        self.assertEqual(pod["spec"]["terminationGracePeriodSeconds"], 3675)
        mounted = {it["name"] for it in edge["volumeMounts"]}
        self.assertLessEqual(mounted, {it["name"] for it in pod["spec"]["volumes"]})
        # The edge gets the API server's token whatever the ServiceAccount says, and the app none of it.
        files = {it["name"]: api_files(pod, it) for it in containers(pod)}
        self.assertEqual(files, {"holdline-edge": {"token", "ca.crt", "namespace"}, "app": set()})
        config = one(found, "ConfigMap", "-edge")["metadata"]["name"]
        self.assertIn({"name": "holdline-config", "configMap": {"name": config}}, pod["spec"]["volumes"])
        service = one(found, "Service", config.removesuffix("-edge"))
        self.assertLessEqual(service["spec"]["selector"].items(), pod["metadata"]["labels"].items())
        binding = one(found, "RoleBinding", "-discovery")
        self.assertEqual(binding["subjects"][0]["name"], pod["spec"]["serviceAccountName"])


if __name__ == "__main__":
    unittest.main()
