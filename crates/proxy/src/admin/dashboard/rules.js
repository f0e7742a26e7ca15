// Rollout rules in words.

import { counted } from "./words.js";

const EXISTING = { on_drain: "calls move when their worker drains", eager: "calls move to a better version at once", pinned: "calls stay with their version" };

function share(weights, version) {
  const all = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
  return `${all ? Math.round((weights[version] / all) * 100) : 0} %`;
}

// The rules of one pool in a line.
export function lineOf({ pool, weights, pins, disabled, existing, source, since_unix_us: since }, named) {
  const versions = Object.keys(weights);
  const parts = [
    versions.length ? versions.map((version) => `${version} ${share(weights, version)}`).join(", ") : "no weights",
    ...pins.map(({ attribute, equals, version }) => `${attribute}=${equals} to ${version}`).slice(0, 3),
    pins.length > 3 ? `and ${counted(pins.length - 3, "more pin")}` : "",
    disabled.length ? `${disabled.join(", ")} disabled` : "",
    EXISTING[existing] ?? existing,
    source === "operator" ? `set by an operator at ${new Date(since / 1000).toLocaleString()}` : "as configured",
  ];
  return `${named ? `Rollout of ${pool}` : "Rollout"}: ${parts.filter(Boolean).join(" · ")}`;
}

// What they say of one version, with the kind of each mark.
export function marksOf({ weights, pins, disabled }, version) {
  const marks = [];
  if (disabled.includes(version)) marks.push(["disabled", "bad"]);
  if (version in weights) marks.push([`${share(weights, version)} of calls`, "warn"]);
  const pinned = pins.filter((pin) => pin.version === version).length;
  if (pinned) marks.push([counted(pinned, "pin"), ""]);
  return marks;
}
