"""Values that cannot work are refused before anything is installed, in words."""

import re
import unittest

import helm_python as helm

from charts import CHART, cases, objects, templates, with_values

DEFAULT = cases()["default"]
SIDECAR = cases()["sidecar-worker"]
APP = cases()["sidecar-app"]
STATEFUL = cases()["statefulset"]
WEBHOOK = cases()["webhook"]
RAW = cases()["raw"]
HPA = cases()["hpa"]
KEDA = cases()["keda"]

INGRESS = {"ingress": {"enabled": True}}
GATEWAY = {"gateway": {"enabled": True, "parentRefs": [{"name": "public"}]}}

# (what is tried, the sentence's beginning, values, changes)
CONTRADICTIONS = [
    ("grace shorter than the drain", "edge.terminationGracePeriodSeconds (3600) is shorter than what the drain takes (3645",
     DEFAULT, {"edge.terminationGracePeriodSeconds": 3600}),
    ("the same in a sidecar, after the worker", "edge.terminationGracePeriodSeconds (1875) is shorter than what the drain takes (1890",
     SIDECAR, {"edge.terminationGracePeriodSeconds": 1875}),
    ("the same beside an app", "edge.terminationGracePeriodSeconds (3645) is shorter than what the drain takes (3675",
     APP, {"edge.terminationGracePeriodSeconds": 3645}),
    ("lame duck longer than the deadline", "edge.drain.lameDuckSeconds (100) is longer",
     DEFAULT, {"edge.drain.lameDuckSeconds": 100, "edge.drain.deadlineSeconds": 90}),
    ("notice longer than the deadline", "edge.drain.noticeSeconds (60) is longer",
     DEFAULT, {"edge.drain.deadlineSeconds": 30}),
    ("ends of calls that take longer than the margin", "edge.drain.marginSeconds (30) is shorter than what calls may take to end at the deadline (49 s:",
     DEFAULT, {"edge.config": {"session": {"end_timeout": "45000ms", "release_timeout": "1001us"}}}),
    ("worker killed before its calls left", "worker.terminationGracePeriodSeconds (30) is shorter",
     DEFAULT, {"worker.terminationGracePeriodSeconds": 30}),
    ("two graces for one pod", "worker.terminationGracePeriodSeconds is set, and with sidecar.in: worker",
     SIDECAR, {"worker.terminationGracePeriodSeconds": 60}),
    ("no secret", "secrets.existingSecret is empty", DEFAULT, {"secrets.existingSecret": ""}),
    ("two sources of the secret", "secrets.existingSecret and secrets.external.enabled are both set",
     HPA, {"secrets.existingSecret": "holdline"}),
    ("no store", "secrets.external.store.name is empty", HPA, {"secrets.external.store.name": ""}),
    ("a secret that the store is not asked for", "secrets.external.remote.openaiApiKey.key is empty",
     HPA, {"secrets.external.remote.openaiApiKey": {}}),
    ("a second token that the store is not asked for", "secrets.external.remote.twilioSecondaryAuthToken.key is empty",
     HPA, {"secrets.external.remote.twilioSecondaryAuthToken": {}}),
    ("a second token for nothing", "secrets.keys.twilioSecondaryAuthToken (NEXT) is set, and no signature",
     DEFAULT, {"secrets.keys": {"twilioSecondaryAuthToken": "NEXT"}, "twilio.checkSignature": False}),
    ("one key for two tokens", "secrets.keys.twilioAuthToken and secrets.keys.twilioSecondaryAuthToken are both twilio:",
     WEBHOOK, {"secrets.keys.twilioSecondaryAuthToken": "twilio"}),
    ("no public URL", 'twilio.publicUrl ("") must be', DEFAULT, {"twilio.publicUrl": ""}),
    ("https in place of wss", 'twilio.publicUrl ("https://', DEFAULT, {"twilio.publicUrl": "https://voice.example.com/a"}),
    ("a query, which Twilio drops", 'twilio.publicUrl ("wss://v.example.com/a?b=1") must be',
     DEFAULT, {"twilio.publicUrl": "wss://v.example.com/a?b=1"}),
    ("a token that nobody fills in", "twilio.publicUrl ends in /{token}",
     DEFAULT, {"twilio.publicUrl": "wss://voice.example.com/a/{token}"}),
    ("a webhook without a place for its token", "twilio.webhook.enabled needs a twilio.publicUrl",
     WEBHOOK, {"twilio.publicUrl": "wss://voice.example.com/a"}),
    ("a webhook without URL", 'twilio.webhook.publicUrl ("") must be', WEBHOOK, {"twilio.webhook.publicUrl": ""}),
    ("a webhook with two edges", "twilio.webhook.enabled needs exactly one edge", WEBHOOK, {"edge.replicas": 2}),
    ("a webhook and a believed start", "twilio.trustStart and twilio.webhook.enabled", WEBHOOK, {"twilio.trustStart": True}),
    ("nobody can call", "twilio.enabled is false and edge.extraRoutes is empty", RAW, {"edge.extraRoutes": []}),
    ("an ingress without a host", "ingress and gateway take host and path", RAW, {"ingress.enabled": True}),
    ("a route without a gateway", "gateway.enabled is true and gateway.parentRefs is empty", DEFAULT, {"gateway.enabled": True}),
    ("two hosts behind an ingress", "twilio.webhook.publicUrl is of hooks.example.com and twilio.publicUrl of voice.example.com, and ingress serves",
     WEBHOOK, INGRESS | {"edge.tlsSecret": "", "twilio.webhook.publicUrl": "https://hooks.example.com/twilio/voice"}),
    ("the same behind a gateway", "twilio.webhook.publicUrl is of voice.example.org and twilio.publicUrl of voice.example.com, and gateway serves",
     WEBHOOK, GATEWAY | {"edge.tlsSecret": "", "twilio.webhook.publicUrl": "https://voice.example.org/twilio/voice"}),
    ("plain HTTP to a port of TLS", "edge.tlsSecret is set behind ingress, which", DEFAULT, INGRESS | {"edge.tlsSecret": "a"}),
    ("the same from both", "edge.tlsSecret is set behind ingress and gateway, which", DEFAULT, INGRESS | GATEWAY | {"edge.tlsSecret": "a"}),
    ("a traffic policy without traffic from outside", "service.externalTrafficPolicy (Local) is for NodePort and LoadBalancer",
     DEFAULT, {"service.externalTrafficPolicy": "Local"}),
    ("a class without a load balancer", "service.loadBalancerClass (a) is for LoadBalancer: Kubernetes refuses it with service.type: NodePort",
     DEFAULT, {"service": {"type": "NodePort", "loadBalancerClass": "a"}}),
    ("the chart's own keys", "edge.config.drain is the chart's to write", DEFAULT, {"edge.config": {"drain": {"deadline": "2h"}}}),
    ("the chart's own listeners", "edge.config.listeners is the chart's to write", DEFAULT, {"edge.config": {"listeners": []}}),
    ("the chart's own limit", "edge.config.limits.sessions is the chart's", DEFAULT, {"edge.config": {"limits": {"sessions": 1}}}),
    ("nothing to connect calls to", "openai.enabled is false, and neither", DEFAULT, {"openai.enabled": False}),
    ("discovery in the pool", "pool.discovery is the chart's to write", DEFAULT, {"pool": {"discovery": {}}}),
    ("TLS in the pool", "pool.tls is the chart's to write", DEFAULT, {"pool": {"tls": {}}}),
    ("a second default pool", "extraPools.default is the chart's", DEFAULT, {"extraPools": {"default": {"discovery": {}}}}),
    ("no address", "discovery.kind is static and discovery.addresses is empty", RAW, {"discovery.addresses": []}),
    ("pods at fixed addresses", "discovery.kind is static and worker.enabled is true", RAW, {"worker.enabled": True}),
    ("a Service beside addresses", "discovery.kind is static and discovery.service (mine) is set", RAW, {"discovery.service": "mine"}),
    ("a port without a Service", "discovery.port (grpc) names a port of discovery.service", DEFAULT, {"discovery.port": "grpc"}),
    ("a named port for DNS", "discovery.port (grpc) names a port of discovery.service",
     DEFAULT, {"worker.enabled": False, "discovery": {"kind": "dns", "service": "mine", "port": "grpc"}}),
    ("addresses that nobody reads", "discovery.addresses is only for", DEFAULT, {"discovery.addresses": ["10.0.0.1:1"]}),
    ("workers that are not looked for", "discovery.service (mine) and worker.enabled", DEFAULT, {"discovery.service": "mine"}),
    ("two Services", "discovery.service (mine) and worker.service.selector",
     DEFAULT, {"worker.enabled": False, "discovery.service": "mine", "worker.service.selector": {"app": "a"}}),
    ("the chart's Service elsewhere", "discovery.namespace (sales) is set without", DEFAULT, {"discovery.namespace": "sales"}),
    ("no workers", "worker.enabled is false, and neither", DEFAULT, {"worker.enabled": False}),
    ("two kinds of workers", "worker.service.selector is for workers that you deploy", DEFAULT, {"worker.service.selector": {"app": "a"}}),
    ("an image without a release", "worker.image.repository is set without", HPA, {"worker.image.tag": ""}),
    ("a bridge without instructions", "worker.bridge.instructions is empty", DEFAULT, {"worker.bridge.instructions": ""}),
    ("arguments for the bridge", "worker.command and worker.args", DEFAULT, {"worker.args": ["-v"]}),
    ("TLS without the edge's certificate", "workerTls.enabled is true and workerTls.edgeSecret", HPA, {"workerTls.edgeSecret": ""}),
    ("TLS without the worker's certificate", "workerTls.enabled is true and workerTls.workerSecret", HPA, {"workerTls.workerSecret": ""}),
    ("TLS without a name", "workerTls.serverName is empty, and with discovery.kind: static",
     RAW, {"workerTls": {"enabled": True, "edgeSecret": "edge-certificate"}}),
    ("rights for everybody", "serviceAccount.create is false and serviceAccount.name is empty", DEFAULT, {"serviceAccount": {"create": False}}),
    ("one edge that cannot be replaced", "edge.kind is StatefulSet with one edge", STATEFUL, {"edge.replicas": 1, "edge.podDisruptionBudget": {}}),
    ("a rollout that cannot begin", "edge.strategy.rollingUpdate has maxSurge 0 and maxUnavailable 0:",
     DEFAULT, {"edge.strategy.rollingUpdate.maxSurge": 0}),
    ("the same in percent", "edge.strategy.rollingUpdate has maxSurge 0% and maxUnavailable 00%:",
     DEFAULT, {"edge.strategy.rollingUpdate": {"maxSurge": "0%", "maxUnavailable": "00%"}}),
    ("a rollout of workers that cannot begin", "worker.strategy.rollingUpdate has maxSurge 0 and maxUnavailable 0:",
     DEFAULT, {"worker.strategy.rollingUpdate.maxSurge": 0}),
    ("the same of workers in percent", "worker.strategy.rollingUpdate has maxSurge 0% and maxUnavailable 0:",
     SIDECAR, {"worker.strategy.rollingUpdate.maxSurge": "0%"}),
    ("two budgets", "edge.podDisruptionBudget has minAvailable and maxUnavailable", STATEFUL, {"edge.podDisruptionBudget.maxUnavailable": 1}),
    ("nodes that cannot be drained", "edge.podDisruptionBudget.minAvailable (3) is not less", STATEFUL, {"edge.podDisruptionBudget.minAvailable": 3}),
    ("nodes that cannot be drained, said otherwise", "edge.podDisruptionBudget.maxUnavailable is 0", DEFAULT, {"edge.podDisruptionBudget.maxUnavailable": 0}),
    ("the same in percent", "edge.podDisruptionBudget.maxUnavailable is 0%", DEFAULT, {"edge.podDisruptionBudget.maxUnavailable": "0%"}),
    ("a percentage that is all edges", "edge.podDisruptionBudget.minAvailable (67%) is not less than the number of edges (3)",
     STATEFUL, {"edge.podDisruptionBudget.minAvailable": "67%"}),
    ("nodes that workers keep", "worker.podDisruptionBudget.maxUnavailable is 0:", DEFAULT, {"worker.podDisruptionBudget.maxUnavailable": 0}),
    ("the same in percent", "worker.podDisruptionBudget.maxUnavailable is 0%", SIDECAR, {"worker.podDisruptionBudget.maxUnavailable": "0%"}),
    ("metrics that nobody may scrape", "metrics.serviceMonitor.enabled is true, and networkPolicy", DEFAULT, {"metrics.serviceMonitor.enabled": True}),
    ("two jobs", "metrics.job (edges) is for edges that something else scrapes", KEDA, {"metrics.job": "edges"}),
    ("alerts on metrics that nobody knows", "metrics.prometheusRule is enabled, and nothing says",
     DEFAULT, {"metrics.prometheusRule.enabled": True}),
    ("the same of KEDA", "autoscaling.keda is enabled, and nothing says", KEDA, {"metrics.serviceMonitor.enabled": False}),
    ("one port for two", "edge.ports.callers and edge.ports.admin are both 8080", DEFAULT, {"edge.ports.admin": 8080}),
    ("a cost that nobody reads", "edge.podDeletionCost has no effect", STATEFUL, {"edge.podDeletionCost.enabled": True}),
    ("two scalers", "autoscaling.hpa and autoscaling.keda", HPA, {"autoscaling.keda": {"enabled": True, "serverAddress": "http://p"}, "metrics.job": "edges"}),
    ("fewest above most", "autoscaling.minReplicas (30) is more", HPA, {"autoscaling.minReplicas": 30}),
    ("fewest workers above most", "worker.autoscaling.minReplicas (11) is more than worker.autoscaling.maxReplicas (10)",
     DEFAULT, {"worker.autoscaling": {"enabled": True, "minReplicas": 11}}),
    ("scaled when full", "autoscaling.targetSessions (500) is not below", HPA, {"autoscaling.targetSessions": 500}),
    ("KEDA without Prometheus", "autoscaling.keda.serverAddress is empty", KEDA, {"autoscaling.keda.serverAddress": ""}),
    ("scale-down of the fullest edge", "autoscaling.scaleDown is set without", HPA, {"edge.podDeletionCost.enabled": False}),
    ("the same beside workers that are scaled", "autoscaling.scaleDown is set without",
     SIDECAR, {"worker.autoscaling": {"enabled": True}, "autoscaling.scaleDown": True}),
    ("scale-down of the highest ordinal", "autoscaling.scaleDown is set with edge.kind: StatefulSet",
     STATEFUL, {"autoscaling": {"minReplicas": 3, "scaleDown": True, "hpa": {"enabled": True}}}),
    ("scaling another chart's pods", "autoscaling is enabled with sidecar.in: app", APP, {"autoscaling": {"hpa": {"enabled": True}}}),
    ("two scalers of one pod", "autoscaling and worker.autoscaling are both enabled",
     SIDECAR, {"autoscaling": {"hpa": {"enabled": True}}, "worker.autoscaling": {"enabled": True}}),
    ("a sidecar without a pod", "topology is sidecar with sidecar.in: worker, and worker.enabled is false",
     SIDECAR, {"worker.enabled": False, "worker.service.selector": {"app": "a"}}),
    ("one port for worker and callers", "worker.service.port and edge.ports.callers are both 8080", SIDECAR, {"worker.service.port": 8080}),
    ("one port for worker and admin", "worker.service.port and edge.ports.admin are both 50051", SIDECAR, {"edge.ports.admin": 50051}),
    ("pods that linger", "topology: sidecar keeps pods until their calls have ended: with 10 deploys in an hour, 1890 s of grace and 3 pods, up to 16 pods",
     SIDECAR, {"sidecar.acknowledgeLingering": False}),
]

# Values that come close to a contradiction.
NONE = [
    (DEFAULT, {"worker.strategy.rollingUpdate": {"maxSurge": 0, "maxUnavailable": "1%"}}),
    (DEFAULT, {"worker.strategy.rollingUpdate": None, "edge.strategy.rollingUpdate": None}),
    (DEFAULT, {"worker.strategy": None, "edge.strategy": None}),
    (DEFAULT, {"worker.podDisruptionBudget": {"enabled": False, "maxUnavailable": 0}}),
    (DEFAULT, {"worker.podDisruptionBudget.maxUnavailable": None}),
    (DEFAULT, {"worker.podDisruptionBudget.maxUnavailable": "10%", "edge.podDisruptionBudget.maxUnavailable": "1%"}),
    (DEFAULT, {"worker.autoscaling": {"enabled": False, "minReplicas": 11}}),
    (STATEFUL, {"edge.podDisruptionBudget.minAvailable": "66%"}),
    (SIDECAR, {"worker.autoscaling.enabled": True}),
    (DEFAULT, {"edge.config": {"session": {"end_timeout": "26s", "release_timeout": "1s"}}}),
    (DEFAULT, {"edge.config": {"session": None}, "edge.drain.marginSeconds": 10}),
    (DEFAULT, INGRESS | {"edge.tlsSecret": "a", "edge.acknowledgeProxyTls": True}),
    (DEFAULT, {"worker.service.port": 8080}),
    (DEFAULT, {"worker.enabled": False, "discovery": {"service": "mine", "port": "grpc"}}),
    (DEFAULT, {"serviceAccount": {"create": False}, "rbac.create": False}),
    (DEFAULT, {"serviceAccount": {"create": False}, "discovery.kind": "dns"}),
    (APP, {"metrics.serviceMonitor.enabled": True}),
    (DEFAULT, {"worker.autoscaling.enabled": True, "autoscaling.scaleDown": True}),
]

# Changes that the schema refuses, and a word of what it says.
SCHEMA = [
    ({"edge.replica": 3}, "replica"),
    ({"nonsense": 1}, "nonsense"),
    ({"topology": "mesh"}, "topology"),
    ({"edge.replicas": "three"}, "replicas"),
    ({"edge.replicas": -1}, "replicas"),
    ({"edge.drain.deadlineSeconds": "1h"}, "deadlineSeconds"),
    ({"edge.drain.marginSeconds": 1}, "marginSeconds"),
    ({"edge.ports.admin": 70000}, "admin"),
    ({"image.digest": "latest"}, "digest"),
    ({"worker.version": "-"}, "version"),
    ({"twilio.route": {"idle_timeout": False}}, "idle_timeout"),
    ({"twilio.route": {"signature": "off"}}, "signature"),
    ({"autoscaling.hpa.enabled": "yes"}, "enabled"),
    ({"extraPools": {"sales": {}}}, "discovery"),
    ({"metrics.job": 'a"} or up{job="b'}, "job"),
]


class Refusals(unittest.TestCase):
    def test_each_contradiction_has_its_sentence(self):
        for tried, sentence, values, changes in CONTRADICTIONS:
            with self.subTest(tried):
                told = self.refusal(with_values(values, **changes))
                self.assertIn("these values cannot work:", told)
                self.assertIn(f"- {sentence}", told)
                self.assertEqual(told.count("\n- "), 1, f"something else, too: {told}")

    def test_what_is_no_contradiction_is_taken(self):
        for values, changes in NONE:
            with self.subTest(changes=changes):
                objects(with_values(values, **changes))

    def test_every_sentence_of_the_chart_is_tried(self):
        told = [self.refusal(with_values(it[2], **it[3])) for it in CONTRADICTIONS]
        for line in (CHART / "templates/_checks.tpl").read_text().splitlines():
            if line.startswith(("{{- ", "{{/*")) or not line or "fail (" in line:
                continue
            fixed = [re.escape(part) for part in re.split(r"{{.*?}}", line)]
            sentence = re.compile("- " + ".*".join(fixed))
            self.assertTrue(any(sentence.search(it) for it in told), f"no test for: {line}")

    def test_all_is_told_at_once(self):
        told = self.refusal({})
        for word in ("twilio.publicUrl", "secrets.existingSecret"):
            self.assertIn(f"- {word}", told)

    def test_the_schema_refuses(self):
        for changes, word in SCHEMA:
            with self.subTest(changes=changes):
                told = self.refusal(with_values(DEFAULT, **changes))
                self.assertIn("values don't meet the specifications of the schema", told)
                self.assertIn(word, told)

    def refusal(self, values):
        with self.assertRaises(helm.HelmError) as raised:
            templates(values)
        return str(raised.exception)


if __name__ == "__main__":
    unittest.main()
