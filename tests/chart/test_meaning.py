"""What the objects say, where a mistake would drop calls."""

import re
import shutil
import tempfile
import unittest
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from charts import CHART, PROJECT, api_files, cases, containers, edge_config, notes, objects, one, pods, with_values

CASES = cases()


def pod_of(found, suffix):
    return dict(pods(found))[suffix]


def templates_of(values, chart=CHART):
    return {workload: pod for workload, pod in pods(objects(values, chart)) if "Pod/" not in workload}


def changed(before, after):
    """Workloads whose pods an upgrade replaces; it makes and deletes none."""
    assert set(before) == set(after)
    return {workload for workload in before if before[workload] != after[workload]}


class Drain(unittest.TestCase):
    def test_a_pod_is_given_what_its_drain_takes(self):
        for name, values in CASES.items():
            found = objects(values)
            drain = edge_config(found)["drain"]
            takes = sum(int(drain[it].rstrip("s")) for it in ("lame_duck", "deadline"))
            for workload, pod in pods(found):
                if "holdline-edge" in pod["metadata"]["labels"]:
                    grace = pod["spec"]["terminationGracePeriodSeconds"]
                    self.assertGreaterEqual(grace, takes + 10, f"{name} {workload}")

    def test_what_it_waits_for_at_the_deadline_is_as_the_edge_has_it(self):
        session = yaml.safe_load((PROJECT / "config/holdline.yaml").read_text())["session"]
        text = (CHART / "templates/_drain.tpl").read_text()
        waits = dict(re.findall(r'"(\w+_timeout)" "(\w+)"', text))
        self.assertEqual(len(waits), 3)
        self.assertEqual(waits, {name: session[name] for name in waits})

    def test_in_a_shared_pod_the_worker_ends_first(self):
        pod = pod_of(objects(CASES["sidecar-worker"]), "Deployment/demo-holdline-worker")
        # 5 before SIGTERM, 30 of grace, 10 of margin; then 15 + 1800 + 30 of the edge's drain.
        self.assertEqual(pod["spec"]["terminationGracePeriodSeconds"], 1890)

    def test_notes_do_the_sum(self):
        text = notes(CASES["sidecar-worker"])
        self.assertIn("= 1890 s    needed; terminationGracePeriodSeconds is 1890", text)
        self.assertIn("10 deploys/h x 1890 s / 3600 x 3 pods = 16 pods", text)
        self.assertIn("= 7290 s    needed; terminationGracePeriodSeconds is 7500", notes(CASES["webhook"]))

    def test_notes_tell_who_switches_an_autoscaler_on(self):
        for case, told in (
            ("keda", "scale deployment/demo-holdline-edge --replicas=2"),
            ("hpa", "scale deployment/demo-holdline-edge --replicas=3"),
            ("default", None),
        ):
            with self.subTest(case):
                self.assertNotIn("autoscaler", notes(CASES[case]))
                text = notes(CASES[case], is_upgrade=True)
                self.assertIn(told or "", text)
                self.assertEqual("autoscaler" in text, told is not None)

    def test_workers_are_told_before_they_are_killed(self):
        for name, values in CASES.items():
            for workload, pod in pods(objects(values)):
                for container in pod["spec"]["containers"]:
                    env = {it["name"]: it.get("value") for it in container.get("env", [])}
                    if "HOLDLINE_WORKER_GRACE" in env:
                        grace = int(env["HOLDLINE_WORKER_GRACE"].rstrip("s"))
                        self.assertGreater(pod["spec"]["terminationGracePeriodSeconds"], grace, name)

    def test_draining_edges_are_still_scraped(self):
        found = objects(CASES["statefulset"])
        service = one(found, "Service", "-admin")
        self.assertTrue(service["spec"]["publishNotReadyAddresses"])
        monitor = one(found, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
        self.assertLessEqual(monitor.items(), service["metadata"]["labels"].items())
        # ... but get no new callers.
        self.assertNotIn("publishNotReadyAddresses", one(found, "Service", "line")["spec"])


class Test(unittest.TestCase):
    """`helm test`."""

    def test_edges_that_drain_are_not_asked(self):
        for name, values in CASES.items():
            with self.subTest(name):
                found = objects(values)
                pod = one(found, "Pod", "-test")
                url = urlsplit(pod["spec"]["containers"][0]["args"][-1])
                service = next(it for it in found if it["kind"] == "Service" and f"{it['metadata']['name']}.voice.svc" == url.hostname)
                # Its addresses are those of ready pods, and it is no way in from outside.
                self.assertEqual(set(service["spec"]), {"selector", "ports"})
                self.assertEqual(service["spec"]["selector"], one(found, "Service", "-admin")["spec"]["selector"])
                self.assertEqual([it["port"] for it in service["spec"]["ports"]], [url.port])
                # It is there before, and gone afterwards.
                hooks = [it["metadata"]["annotations"] for it in (service, pod)]
                self.assertEqual([it["helm.sh/hook"] for it in hooks], ["test", "test"])
                self.assertLess(int(hooks[0]["helm.sh/hook-weight"]), 0)
                for policy in (it for it in found if it["kind"] == "NetworkPolicy" and it["metadata"]["name"].endswith("-edge")):
                    (asking, *_) = policy["spec"]["ingress"][1]["from"]
                    self.assertLessEqual(asking["podSelector"]["matchLabels"].items(), pod["metadata"]["labels"].items())


class Metrics(unittest.TestCase):
    def test_they_are_looked_for_where_they_are(self):
        """By the job that a ServiceMonitor makes of its Service's name, or by another scraper's."""
        both = with_values(CASES["keda"], **{"metrics.prometheusRule": {"enabled": True}})
        other = with_values(both, **{"metrics.serviceMonitor.enabled": False, "metrics.job": "voice/edges"})
        for values, job in ((both, "demo-holdline-admin"), (other, "voice/edges")):
            found = objects(values)
            rules = one(found, "PrometheusRule")["spec"]["groups"][0]["rules"]
            (trigger,) = one(found, "ScaledObject")["spec"]["triggers"]
            for asked in [it["expr"] for it in rules] + [trigger["metadata"]["query"]]:
                self.assertEqual(set(re.findall(r'job="(.*?)"', asked)), {job}, asked)
        self.assertEqual(one(objects(both), "Service", "-admin")["metadata"]["name"], "demo-holdline-admin")


class Front(unittest.TestCase):
    """What stands in front of the edges."""

    def test_it_chooses_by_host_and_path(self):
        route = {"ingress": {"enabled": True}, "gateway": {"enabled": True, "parentRefs": [{"name": "public"}]}}
        hook = {"edge.tlsSecret": "", "twilio.webhook.publicUrl": "https://voice.example.com:8443/twilio/voice"}
        for case, url, more, paths in (
            ("default", "wss://voice.example.com/twilio/media", {}, ["/twilio/media"]),
            ("default", "wss://voice.example.com:8443/twilio/*", {}, ["/twilio"]),
            ("webhook", "wss://voice.example.com:8443/calls/{token}", hook, ["/calls", "/twilio/voice"]),
            ("webhook", "wss://voice.example.com/{token}", hook, ["/", "/twilio/voice"]),
        ):
            with self.subTest(url):
                found = objects(with_values(CASES[case], **route, **more, **{"twilio.publicUrl": url}))
                (rule,) = one(found, "Ingress")["spec"]["rules"]
                self.assertEqual(rule["host"], "voice.example.com")
                self.assertEqual([it["path"] for it in rule["http"]["paths"]], paths)
                spec = one(found, "HTTPRoute")["spec"]
                self.assertEqual(spec["hostnames"], ["voice.example.com"])
                self.assertEqual([it["path"]["value"] for it in spec["rules"][0]["matches"]], paths)
                self.assertIn(url, str(edge_config(found)))


class Rollouts(unittest.TestCase):
    """What restarts whom."""

    def test_a_deadline_rolls_the_edges_only_where_their_grace_follows_it(self):
        given = with_values(CASES["default"], **{"edge.terminationGracePeriodSeconds": 9000})
        longer = {"edge.drain.deadlineSeconds": 7200}
        self.assertEqual(templates_of(given), templates_of(with_values(given, **longer)))
        before = templates_of(CASES["default"])
        after = templates_of(with_values(CASES["default"], **longer))
        self.assertEqual(changed(before, after), {"Deployment/demo-holdline-edge"})

    def test_other_configuration_rolls_the_edges_alone(self):
        before = templates_of(CASES["default"])
        after = templates_of(with_values(CASES["default"], **{"edge.config": {"log": {"format": "text"}}}))
        self.assertEqual(changed(before, after), {"Deployment/demo-holdline-edge"})

    def test_a_bridges_file_rolls_the_workers_alone(self):
        before = templates_of(CASES["default"])
        after = templates_of(with_values(CASES["default"], **{"worker.bridge.instructions": "Be brief."}))
        self.assertEqual(changed(before, after), {"Deployment/demo-holdline-worker"})

    def test_the_chart_s_version_rolls_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            newer = shutil.copytree(CHART, Path(folder) / "holdline")
            chart = newer / "Chart.yaml"
            chart.write_text(chart.read_text().replace("\nversion: ", "\nversion: 9"))
            for name, values in CASES.items():
                self.assertEqual(templates_of(values), templates_of(values, newer), name)

    def test_every_release_of_a_worker_has_its_own_version(self):
        versions = set()
        for instructions in ("Be brief.", "Be long."):
            values = with_values(CASES["default"], **{"worker.bridge.instructions": instructions})
            pod = pod_of(objects(values), "Deployment/demo-holdline-worker")
            version = pod["metadata"]["labels"]["app.kubernetes.io/version"]
            env = {it["name"]: it["value"] for it in pod["spec"]["containers"][0]["env"]}
            self.assertEqual(env["HOLDLINE_WORKER_VERSION"], version)
            versions.add(version)
        self.assertEqual(len(versions), 2)

    def test_edges_surge(self):
        rolling = one(objects(CASES["default"]), "Deployment", "-edge")["spec"]["strategy"]["rollingUpdate"]
        self.assertEqual(rolling, {"maxSurge": 1, "maxUnavailable": 0})


class Secrets(unittest.TestCase):
    def test_while_twilio_s_token_is_changed_edges_are_given_both(self):
        before = CASES["default"]
        after = with_values(before, **{"secrets.keys": {"twilioSecondaryAuthToken": "NEXT"}})
        for values, tokens in (
            (before, {"auth_token": "TWILIO_AUTH_TOKEN"}),
            (after, {"auth_token": "TWILIO_AUTH_TOKEN", "secondary_auth_token": "NEXT"}),
        ):
            found = objects(values)
            signature = edge_config(found)["listeners"][0]["routes"][0]["signature"]
            read = {name: it["file"] for name, it in signature.items() if name != "public_url"}
            pod = pod_of(found, "Deployment/demo-holdline-edge")
            secret = next(it["secret"] for it in pod["spec"]["volumes"] if it["name"] == "holdline-secrets")
            files = {f"/etc/holdline/secrets/{it['path']}": it["key"] for it in secret["items"]}
            self.assertEqual({name: files[file] for name, file in read.items()}, tokens)
        # Secrets are read at the start.
        self.assertEqual(changed(templates_of(before), templates_of(after)), {"Deployment/demo-holdline-edge"})

    def test_the_store_is_asked_for_what_is_read(self):
        found = objects(CASES["hpa"])
        asked = {it["secretKey"]: it["remoteRef"] for it in one(found, "ExternalSecret")["spec"]["data"]}
        self.assertEqual(asked["TWILIO_SECONDARY_AUTH_TOKEN"], {"key": "voice/twilio", "property": "secondary"})


class Rights(unittest.TestCase):
    def test_no_right_is_given_that_is_not_used(self):
        for name in ("dns", "raw", "webhook"):
            found = objects(CASES[name])
            self.assertEqual([it for it in found if it["kind"] in ("Role", "RoleBinding")], [], name)
            for workload, pod in pods(found):
                self.assertFalse(pod["spec"]["automountServiceAccountToken"], f"{name} {workload}")

    def test_only_edges_that_ask_the_api_server_can(self):
        asking = set()
        for name, values in CASES.items():
            found = objects(values)
            config = edge_config(found)
            asks = "kubernetes" in config or any("kubernetes" in it["discovery"] for it in config["workers"].values())
            for workload, pod in pods(found):
                self.assertFalse(pod["spec"]["automountServiceAccountToken"], f"{name} {workload}")
                for container in containers(pod):
                    files = {"token", "ca.crt", "namespace"} if asks and container["name"] == "holdline-edge" else set()
                    with self.subTest(case=name, workload=workload, container=container["name"]):
                        self.assertEqual(api_files(pod, container), files)
                    asking |= {name} if files else set()
        self.assertLessEqual({"default", "sidecar-worker"}, asking)

    def test_roles_are_of_the_namespaces_that_pools_name(self):
        roles = [it for it in objects(CASES["own-workers"]) if it["kind"] == "Role"]
        self.assertEqual({it["metadata"]["namespace"] for it in roles}, {"voice", "sales"})
        for rule in (rule for role in roles for rule in role["rules"]):
            reads = ["get"] if rule["resources"] == ["services"] else ["list", "watch"]
            self.assertEqual(rule["verbs"], reads)
        sales = next(it for it in roles if it["metadata"]["namespace"] == "sales")
        self.assertIn(["agents"], [it.get("resourceNames") for it in sales["rules"]])

    def test_pod_metadata_can_be_left_out(self):
        role = one(objects(with_values(CASES["default"], **{"rbac.podMetadata": False})), "Role")
        self.assertEqual([it["resources"] for it in role["rules"]], [["endpointslices"]])

    def test_only_the_deletion_cost_needs_to_patch(self):
        for name, values in CASES.items():
            verbs = {verb for it in objects(values) if it["kind"] == "Role" for rule in it["rules"] for verb in rule["verbs"]}
            self.assertEqual("patch" in verbs, name == "hpa", name)

    def test_workers_let_in_edges_alone(self):
        policy = one(objects(CASES["default"]), "NetworkPolicy", "-worker")
        (rule,) = policy["spec"]["ingress"]
        self.assertEqual(rule["from"], [{"podSelector": {"matchLabels": {"holdline-edge": "demo-holdline"}}}])

    def test_no_secret_is_in_the_environment_or_a_config_map(self):
        for name, values in CASES.items():
            for it in objects(values):
                self.assertNotIn(it["kind"], ("Secret",), name)
            for workload, pod in pods(objects(values)):
                for container in pod["spec"]["containers"]:
                    self.assertNotIn("envFrom", container, f"{name} {workload}")


if __name__ == "__main__":
    unittest.main()
