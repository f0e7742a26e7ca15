"""The chart, rendered by Helm's own code."""

import copy
import os
import pathlib

import helm_python as helm
import yaml

PROJECT = pathlib.Path(__file__).resolve().parents[2]
CHART = PROJECT / "charts/holdline"
HERE = pathlib.Path(__file__).parent
NAME, NAMESPACE = "demo", "voice"

# Writes what is compared elsewhere: golden files and the README.
REGENERATE = bool(os.environ.get("HOLDLINE_REGENERATE"))


def cases():
    """The values files that everything is shown with, by name."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted(CHART.glob("ci/*.yaml"))}


def templates(values, chart=CHART, **options):
    """Rendered text by the template's path below the chart."""
    with helm.Chart.load(chart) as loaded:
        rendered = loaded.render(values, name=NAME, namespace=NAMESPACE, **options)
        name = loaded.name
    return {path.removeprefix(f"{name}/templates/"): text for path, text in rendered.items()}


def notes(values, **options):
    return templates(values, **options)["NOTES.txt"]


def objects(values, chart=CHART, **options):
    """All objects, in the order of their templates."""
    found = []
    for path, text in sorted(templates(values, chart, **options).items()):
        if path.endswith(".yaml"):
            found += [it for it in yaml.safe_load_all(text) if it]
    return found


def key(it):
    return f"{it['kind']}/{it['metadata']['name']}"


def one(found, kind, suffix=""):
    """The only object of this kind whose name ends so."""
    matching = [it for it in found if it["kind"] == kind and it["metadata"]["name"].endswith(suffix)]
    assert len(matching) == 1, f"{len(matching)} objects of {kind} ...{suffix}"
    return matching[0]


def pods(found):
    """(key of the workload, its pod's template)."""
    for it in found:
        if it["kind"] in ("Deployment", "StatefulSet"):
            yield key(it), it["spec"]["template"]
        elif it["kind"] == "Pod":
            yield key(it), it


def containers(pod):
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def api_files(pod, container):
    """The files that a container finds where clients of the API server look for them."""
    place = "/var/run/secrets/kubernetes.io/serviceaccount"
    names = [it["name"] for it in container.get("volumeMounts", []) if it["mountPath"] == place]
    files = set()
    for volume in pod["spec"].get("volumes", []):
        for source in volume["projected"]["sources"] if volume["name"] in names else []:
            for what in source.values():
                files |= {it["path"] for it in what.get("items", [what])}
    return files


def edge_config(found):
    return yaml.safe_load(one(found, "ConfigMap", "-edge")["data"]["holdline.yaml"])


def with_values(values, **changes):
    """`values` with others at dotted paths: with_values(v, **{"edge.replicas": 3})."""
    changed = copy.deepcopy(values)
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = changed
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return changed
