#!/usr/bin/env python3
"""Writes what the containers of each values file find under /etc/holdline, so that the binary can be
asked what it makes of it. Usage: mounted.py DIR CERTIFICATE KEY; there will be
DIR/CASE/CONTAINER/{config,secrets,...}. Paths within the files lead there. Secrets hold a word that is
no secret, and those with certificates the given one."""

import pathlib
import sys

from charts import cases, containers, objects, pods

MOUNT = "/etc/holdline"


def certificates():
    """What a Secret of type kubernetes.io/tls holds."""
    certificate, key = (pathlib.Path(path).read_text() for path in sys.argv[2:4])
    return {"tls.crt": certificate, "tls.key": key, "ca.crt": certificate}


def files_of(volume, pod, found):
    """What a volume holds, by name."""
    if config := volume.get("configMap"):
        return next(it["data"] for it in found if it["metadata"]["name"] == config["name"] and "data" in it)
    if secret := volume.get("secret"):
        names = [it["path"] for it in secret.get("items", [])]
        return dict.fromkeys(names, "placeholder\n") or certificates()
    if downward := volume.get("downwardAPI"):
        annotations = pod["metadata"]["annotations"]
        return {it["path"]: annotations[it["fieldRef"]["fieldPath"].split("'")[1]] for it in downward["items"]}
    return {}


def write(folder, found):
    for _, pod in pods(found):
        volumes = {it["name"]: it for it in pod["spec"].get("volumes", [])}
        for container in containers(pod):
            place = folder / container["name"]
            for mount in container.get("volumeMounts", []):
                if not mount["mountPath"].startswith(MOUNT):
                    continue
                below = place / pathlib.Path(mount["mountPath"]).relative_to(MOUNT)
                below.mkdir(parents=True, exist_ok=True)
                for name, text in files_of(volumes[mount["name"]], pod, found).items():
                    (below / name).write_text(text.replace(MOUNT, str(place)))


if __name__ == "__main__":
    for name, values in cases().items():
        write(pathlib.Path(sys.argv[1]) / name, objects(values))
