// The dashboard of one edge. It listens to /events and asks nothing of calls but those in sight.
//
// | part | what it does |
// |---|---|
// | events.js | the stream of events, taken up again when it breaks |
// | book.js | what is known: calls with their moments, workers, numbers |
// | rows.js | the list of calls: only what is in sight has elements |
// | draw.js | canvases: timelines and the delay |
// | rules.js | rollout rules in words |

import { Book } from "./book.js";
import { colourOf, drawDelay, legend, swatchOf } from "./draw.js";
import { listen } from "./events.js";
import { Rows } from "./rows.js";
import { lineOf, marksOf } from "./rules.js";
import { counted, duration, el, millis, only } from "./words.js";

const $ = (id) => document.getElementById(id);
// After so many milliseconds a call is sought again, where the edge had no answer.
const SEEK_AGAIN = 2_000;
// The edge's own end, as it comes nearer.
const PHASES = { lame_duck: "draining: still takes calls", refusing: "draining: takes no calls", closing: "ending its calls", done: "ended" };
const book = new Book();
const rows = new Rows(book, { head: $("head"), list: $("list"), rows: $("rows"), open, look, seek });
let token = sessionStorage.getItem("holdline.token") ?? "";

function headers(more = {}) {
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

// Asks the edge; where it wants the token, again once the person has given one.
async function ask(path, options = {}) {
  const lost = () => new Response("The edge was not reached.", { status: 503 });
  for (;;) {
    const answer = await fetch(path, { ...options, headers: headers(options.headers) }).catch(lost);
    if (answer.status !== 401 || !(await refused())) return answer;
  }
}

function note(words) {
  $("note").textContent = words;
  $("note").hidden = !words;
}

// What is on the screen follows at most ten times a second, however much happens.
let due = false;
function changed() {
  if (due) return;
  due = true;
  setTimeout(() => {
    due = false;
    requestAnimationFrame(show);
  }, 100);
}

function show() {
  showNumbers();
  showWorkers();
  rows.show();
  $("count").textContent = countWords();
  drawDelay($("delay"), book.delays, book.now());
  $("delay-words").textContent = delayWords();
  only($("legend"), legend(book));
}

function countWords() {
  const shown = rows.shown.length;
  if (rows.filter.show === "ended") return `${shown} of the last ${book.ended.length} that ended`;
  return rows.over ? `none on the line, ${shown} that ended` : `${shown} of ${book.calls.size} on the line`;
}

function showNumbers() {
  const held = [...book.calls.values()].filter((call) => call.brief.held_since_unix_us).length;
  const of = [
    ["calls", book.calls.size, "on the line now"],
    ["held", held, "without a worker now"],
    ["ended", book.sum("ended", "ended"), "since the edge began"],
    ["handoffs", book.sum("handoffs", "handoff"), "since the edge began"],
    ["losses", book.sum("losses", "lost"), "workers lost under a call, since the edge began"],
    ["lost frames", book.counters?.media_lost_frames, "heard by no worker, since the edge began"],
  ];
  only($("numbers"), of.map(([name, value, title]) => {
    const kind = name === "held" && value ? "bad" : "";
    return el("div", { title }, el("dt", {}, name), el("dd", { class: kind }, String(value ?? "–")));
  }));
  $("phase").hidden = !book.phase || book.phase === "serving";
  $("phase").textContent = PHASES[book.phase] ?? book.phase;
}

function delayWords() {
  const last = book.delays.at(-1);
  if (!last || !last.count) return "No frame in the last second.";
  const atMost = (time) => (time > last.longest ? `more than ${millis(last.longest)}` : `at most ${millis(time)}`);
  return `Last second: ${last.count} inputs; half of them took ${atMost(last.p50)}, 99 of 100 ${atMost(last.p99)}.`;
}

// While a button of theirs is held down it stays where it is, or the press would be lost.
let pressed = false;
$("workers").addEventListener("pointerdown", () => { pressed = true; });
$("workers").addEventListener("keydown", ({ key }) => { pressed ||= key === " "; });
for (const end of ["pointerup", "pointercancel", "keyup", "blur"]) addEventListener(end, () => { pressed = false; });

let workersShown = "";
function showWorkers() {
  // A dialog gives the focus back to the button that it was opened with.
  if (pressed || $("ask").open || $("token").open) return;
  const aged = book.workers.some((worker) => worker.drain?.oldest_unix_us);
  const key = JSON.stringify([book.workers, book.rules, aged && Math.floor(book.now() / 1e6)]);
  if (key === workersShown) return;
  workersShown = key;
  // Whoever is about to press a button keeps it.
  const held = document.activeElement?.dataset?.worker;
  const versions = new Map();
  for (const worker of book.workers) {
    const of = versions.get(worker.version) ?? [];
    of.push(worker);
    versions.set(worker.version, of);
  }
  // Workers that nobody has met yet have no version: they come last.
  const unmet = versions.get("") ?? [];
  versions.delete("");
  const sorted = [...versions].sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true }));
  showShare(sorted);
  only($("rules"), book.rules.map((rules) => el("li", {}, lineOf(rules, book.rules.length > 1))));
  const parts = sorted.map(([version, workers]) => {
    const words = `${counted(callsOf(workers), "call")} on ${counted(workers.length, "worker")}`;
    const pools = new Set(workers.map((worker) => worker.pool));
    const marks = book.rules.filter((rules) => pools.has(rules.pool)).flatMap((rules) => marksOf(rules, version));
    const title = el("h3", {}, swatchOf(version), version, el("small", {}, words));
    title.append(...marks.map(([words, kind]) => el("span", { class: `chip ${kind}` }, words)));
    return el("div", { class: "version" }, title, ...workers.map(workerLine));
  });
  if (unmet.length) parts.push(waiting(unmet));
  only($("workers"), parts.length ? parts : [el("p", { class: "empty" }, "No worker is known.")]);
  if (held) document.querySelector(`[data-worker="${CSS.escape(held)}"]`)?.focus();
}

// Addresses at which there is nobody, one line for each reason.
function waiting(workers) {
  const reasons = new Map();
  for (const { state, detail, pod, address } of workers) {
    const why = state === "connecting" ? detail : `${state}: ${detail}`;
    const was = book.met.get(address);
    reasons.set(why, [...(reasons.get(why) ?? []), (pod?.name ?? address) + (was ? ` (was ${was})` : "")]);
  }
  const title = el("h3", {}, swatchOf(null), "waiting to be met", el("small", {}, counted(workers.length, "worker")));
  const lines = [...reasons].map(([why, names]) => el("p", { class: "empty" }, el("code", {}, names.join(", ")), ` ${why}`));
  return el("div", { class: "version" }, title, ...lines);
}

function callsOf(workers) {
  return workers.reduce((sum, worker) => sum + worker.sessions, 0);
}

// How the calls are spread over versions: in a deploy, one colour gives way to the other.
function showShare(versions) {
  const parts = versions.map(([version, workers]) => [version, callsOf(workers)]).filter(([, calls]) => calls);
  $("share").hidden = !parts.length;
  $("share").setAttribute("aria-label", parts.map(([version, calls]) => `${version}: ${counted(calls, "call")}`).join(", "));
  only($("share"), parts.map(([version, calls]) => {
    const part = el("span", {}, `${version} · ${calls}`);
    part.style.setProperty("--of", colourOf(version));
    part.style.flexGrow = calls;
    return part;
  }));
}

function workerLine(worker) {
  const kind = { ready: "good", draining: "warn", lost: "bad", ejected: "bad" }[worker.state] ?? "";
  const drain = worker.drain;
  const line = el("div", { class: "worker" },
    el("code", { title: worker.address }, worker.pod?.name ?? worker.address),
    el("span", { class: `chip ${kind}` }, worker.state),
    el("span", {}, counted(worker.sessions, "call")));
  if (drain) {
    const bar = el("progress", { max: String(Math.max(drain.began_with, 1)), value: String(drain.began_with - drain.left) });
    bar.title = `${drain.left} of ${drain.began_with} calls left`;
    const oldest = drain.oldest_unix_us ? `, the oldest ${duration(book.now() - drain.oldest_unix_us)} old` : "";
    line.append(el("div", { class: "drain" }, bar, el("small", {}, `${drain.left} left${oldest}`)));
  } else {
    line.append(el("small", {}, worker.detail));
  }
  const undo = drain?.by_operator;
  if (worker.state === "ready" || undo) {
    const button = el("button", { type: "button", "data-worker": worker.address }, undo ? "Undo drain" : "Drain");
    button.addEventListener("click", () => drainWorker(worker, undo));
    line.append(button);
  }
  return line;
}

async function drainWorker(worker, undo) {
  const words = undo
    ? `Worker ${worker.address} takes calls again.`
    : `What it has, ${counted(worker.sessions, "call")}, moves to other workers, one after the other, and it gets no new ones.`;
  if (!(await sure(`${undo ? "Undo the drain of" : "Drain"} ${worker.address}?`, words, undo ? "Undo drain" : "Drain"))) return;
  const answer = await ask(`/workers/${encodeURIComponent(worker.address)}/${undo ? "undrain" : "drain"}`, { method: "POST" });
  note(answer.ok ? "" : await answer.text());
}

// Whether the person means it.
function sure(title, words, yes) {
  $("ask-title").textContent = title;
  $("ask-words").textContent = words;
  $("ask-yes").textContent = yes;
  $("ask").returnValue = "no";
  $("ask").showModal();
  return new Promise((resolve) => {
    $("ask").addEventListener("close", () => resolve($("ask").returnValue === "yes"), { once: true });
  });
}

// Has the token entered; whether one was given. Where it is withheld, only what the person does asks for it again.
let withheld = false;
let entering = null;
function enterToken(why) {
  $("token-why").textContent = why;
  if ($("token").open) return entering;
  $("token-value").value = token;
  $("token").returnValue = "no";
  $("token").showModal();
  entering = new Promise((resolve) => {
    $("token").addEventListener("close", () => {
      withheld = $("token").returnValue !== "yes";
      if (!withheld) take($("token-value").value);
      resolve(!withheld);
    }, { once: true });
  });
  return entering;
}

function take(given) {
  token = given;
  sessionStorage.setItem("holdline.token", token);
  note("");
  stream.again();
}

function refused() {
  return enterToken(token ? "The edge did not accept this token." : "The edge wants its token for that.");
}
$("key").addEventListener("click", () => enterToken(""));
$("token-no").addEventListener("click", () => $("token").close());

function whole(name) {
  return fetch(`/sessions/${encodeURIComponent(name)}`, { headers: headers() }).catch(() => null);
}

// A call that came into sight: what happened to it before this page was there. Whether that is known now.
async function look(call) {
  const answer = await whole(call.brief.id);
  if (!answer?.ok) return false;
  book.recall(call, (await answer.json()).timeline);
  changed();
  return true;
}

// A call that is not on the line, by its name.
async function seek(sought) {
  const answer = await whole(sought.words.replace(/^ca/, "CA"));
  if (answer?.ok) {
    const call = book.older(await answer.json());
    if (call.brief.phase === "ended") sought.call = call;
  } else if (answer?.status !== 404) {
    setTimeout(() => { sought.words = ""; }, SEEK_AGAIN);
  }
  changed();
}

// One call, closely.
async function open(call) {
  const brief = call.brief;
  $("call-title").textContent = brief.call_sid ?? brief.id;
  only($("call-body"), [el("p", {}, "…")]);
  $("call").showModal();
  const answer = await ask(`/sessions/${encodeURIComponent(brief.id)}`);
  if (!answer.ok) return only($("call-body"), [el("p", {}, await answer.text())]);
  only($("call-body"), callWhole(await answer.json()));
}

function callWhole(call) {
  const facts = [
    ["session", call.id],
    ["state", call.phase],
    ["caller", `${call.peer ?? "?"} on ${call.path}`],
    [call.phase === "ended" ? "lasted" : "age", duration(call.age_ms * 1000)],
    ["worker", call.worker ? `${call.worker.address}, version ${call.worker.version}` : "none"],
    ["handoffs", `${call.handoffs}, longest gap ${millis(call.gap_max_us / 1e6)}`],
    ["end", call.end ? `${call.end.reason}, fault: ${call.end.fault}` : null],
    ["log", call.log ? `${call.log.frames} frames, ${call.log.bytes} bytes` : null],
    ["timers", call.timers?.map((timer) => timer.name).join(", ") || null],
    ["state keys", call.state?.map((key) => `${key.key} (${key.bytes} B)`).join(", ") || null],
  ].filter(([, value]) => value !== null);
  const table = el("table", {}, ...facts.map(([name, value]) => el("tr", {}, el("th", {}, name), el("td", {}, value))));
  const moments = (call.timeline?.events ?? []).map(({ at_unix_us: at, event, last_unix_us: _, ...rest }) => {
    const words = Object.entries(rest).filter(([, value]) => value !== null && value !== undefined);
    return el("tr", {},
      el("th", {}, `+${duration(at - call.started_unix_us)}`),
      el("td", {}, event.replaceAll("_", " ")),
      el("td", {}, words.map(([name, value]) => `${name.replace(/_us$/, "")} ${/_us$/.test(name) ? millis(value / 1e6) : value}`).join(", ")));
  });
  const parts = [table, el("h2", {}, "What happened"), el("table", {}, ...moments)];
  if (call.phase === "running") parts.push(el("menu", {}, order(call, "move", "Move to another worker"), order(call, "end", "End the call")));
  return parts;
}

function order(call, what, words) {
  const button = el("button", { type: "button", class: what === "end" ? "danger" : "" }, words);
  const refused = el("p", { role: "alert" });
  button.addEventListener("click", async () => {
    const meant = what === "end" ? "The caller hears the end of the call." : "The caller notices nothing.";
    if (!(await sure(`${words}: ${call.call_sid ?? call.id}?`, meant, words))) return;
    const answer = await ask(`/sessions/${encodeURIComponent(call.id)}/${what}`, { method: "POST" });
    // Said where it was asked for: the list's notes are behind this dialog.
    refused.textContent = answer.ok ? "" : await answer.text();
    button.after(refused);
    if (answer.ok) $("call").close();
  });
  return button;
}

const stream = listen("/events", headers, {
  state(words, kind) {
    $("link").textContent = words;
    $("link").className = `chip ${kind}`;
  },
  refused(status) {
    if (status === 401 && !withheld) refused();
  },
  event(name, data) {
    book.take(name, data);
    changed();
  },
});

$("search").addEventListener("input", () => { rows.filter.words = $("search").value.trim().toLowerCase(); changed(); });
$("search").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" && event.key !== "ArrowDown") return;
  event.preventDefault();
  $("list").focus();
  rows.key({ key: "Home", preventDefault() {} });
});
$("show").addEventListener("change", () => { rows.filter.show = $("show").value; changed(); });
$("span").addEventListener("change", () => { rows.wanted = Number($("span").value) || null; changed(); });
addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|SELECT)$/.test(document.activeElement?.tagName ?? "")) {
    event.preventDefault();
    $("search").focus();
  }
});
addEventListener("resize", changed);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { workersShown = ""; changed(); });
// Time passes on the lines though nothing happens.
setInterval(changed, 1000);
changed();
