"""Kinds that Kubernetes itself does not have: the fields that the chart uses, as their own reference
tells them. Whatever is not written here is refused."""

import jsonschema

TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}
DURATION = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}


def obj(required=(), **properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def array(items):
    return {"type": "array", "items": items, "minItems": 1}


SERVICE_MONITOR = obj(
    ["selector", "endpoints"],
    selector=obj(matchLabels=LABELS),
    namespaceSelector=obj(matchNames=array(TEXT)),
    endpoints=array(obj(port=TEXT, path=TEXT, interval=DURATION)),
)
PROMETHEUS_RULE = obj(
    ["groups"],
    groups=array(
        obj(
            ["name", "rules"],
            name=TEXT,
            rules=array(
                obj(
                    ["alert", "expr"],
                    alert=TEXT,
                    expr=TEXT,
                    labels=LABELS,
                    annotations=LABELS,
                    **{"for": DURATION},
                )
            ),
        )
    ),
)
SCALED_OBJECT = obj(
    ["scaleTargetRef", "triggers"],
    scaleTargetRef=obj(["name"], apiVersion=TEXT, kind=TEXT, name=TEXT),
    minReplicaCount=COUNT,
    maxReplicaCount=COUNT,
    advanced=obj(
        # Of the HorizontalPodAutoscaler that KEDA makes; that one's own schema is checked elsewhere.
        horizontalPodAutoscalerConfig=obj(behavior={"type": "object"})
    ),
    triggers=array(
        obj(["type", "metadata"], type=TEXT, metricType={"enum": ["AverageValue"]}, metadata=LABELS)
    ),
)
EXTERNAL_SECRET = obj(
    ["secretStoreRef", "data"],
    refreshInterval=DURATION,
    secretStoreRef=obj(["name"], name=TEXT, kind={"enum": ["SecretStore", "ClusterSecretStore"]}),
    target=obj(name=TEXT, creationPolicy={"enum": ["Owner"]}),
    data=array(
        obj(
            ["secretKey", "remoteRef"],
            secretKey=TEXT,
            remoteRef=obj(["key"], key=TEXT, property=TEXT, version=TEXT),
        )
    ),
)
HTTP_ROUTE = obj(
    ["parentRefs", "rules"],
    parentRefs=array(obj(["name"], name=TEXT, namespace=TEXT, sectionName=TEXT)),
    hostnames=array(TEXT),
    rules=array(
        obj(
            matches=array(obj(path=obj(type={"enum": ["PathPrefix"]}, value=TEXT))),
            timeouts=obj(request=DURATION),
            backendRefs=array(obj(["name", "port"], name=TEXT, port=COUNT)),
        )
    ),
)
KINDS = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): SERVICE_MONITOR,
    ("monitoring.coreos.com/v1", "PrometheusRule"): PROMETHEUS_RULE,
    ("keda.sh/v1alpha1", "ScaledObject"): SCALED_OBJECT,
    ("external-secrets.io/v1", "ExternalSecret"): EXTERNAL_SECRET,
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): HTTP_ROUTE,
}


def covers(it):
    return (it["apiVersion"], it["kind"]) in KINDS


def validate(it):
    jsonschema.validate(it["spec"], KINDS[it["apiVersion"], it["kind"]])
    assert set(it) == {"apiVersion", "kind", "metadata", "spec"}, sorted(it)
