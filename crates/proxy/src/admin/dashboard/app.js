// The dashboard of one edge. It listens to /events and asks nothing of calls but those in sight.
//
// | part | what it does |
// |---|---|
// | events.js | the stream of events, taken up again when it breaks |
// | book.js | what is known: calls with their moments, workers, numbers |
// | rows.js | the list of calls: only what is in sight has elements |
// | draw.js | canvases: timelines and the delay |

import { Book } from "./book.js";
import { drawDelay, colourOf, legend } from "./draw.js";
import { listen } from "./events.js";
import { Rows } from "./rows.js";
import { counted, duration, el, millis, only } from "./words.js";

const $ = (id) => document.getElementById(id);
const book = new Book();
const rows = new Rows(book, { head: $("head"), list: $("list"), rows: $("rows"), open, look });
let token = sessionStorage.getItem("holdline.token") ?? "";

function headers(more = {}) {
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

async function ask(path, options = {}) {
  const lost = () => new Response("The edge was not reached.", { status: 503 });
  const answer = await fetch(path, { ...options, headers: headers(options.headers) }).catch(lost);
  if (answer.status === 401) {
    note("The edge wants its admin token for that.");
    enterToken();
  }
  return answer;
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
  $("count").textContent = rows.filter.show === "ended"
    ? `${rows.shown.length} of the last ${book.ended.length} that ended`
    : `${rows.shown.length} of ${book.calls.size} on the line`;
  drawDelay($("delay"), book.delays);
  $("delay-words").textContent = delayWords();
  only($("legend"), legend(book));
}

function showNumbers() {
  const now = book.counters;
  const of = [
    ["calls", book.calls.size],
    ["held", [...book.calls.values()].filter((call) => call.brief.held_since_unix_us).length],
    ["ended", now?.ended],
    ["handoffs", now?.handoffs],
    ["workers lost under a call", now?.losses],
    ["lost frames", now?.media_lost_frames],
  ];
  only($("numbers"), of.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value ?? "–")))));
  const phase = book.phase;
  $("phase").hidden = !phase || phase === "serving";
  $("phase").textContent = phase ?? "";
  $("phase").className = "chip warn";
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
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { pressed = false; });

let workersShown = "";
function showWorkers() {
  if (pressed) return;
  const key = JSON.stringify([book.workers, Math.floor(book.now() / 1e6)]);
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
  // A worker that nobody has met yet has no version: it comes last.
  const sorted = [...versions].sort(([a], [b]) => !a - !b || a.localeCompare(b, undefined, { numeric: true }));
  showShare(sorted);
  const parts = sorted.map(([version, workers]) => {
    const calls = callsOf(workers);
    const swatch = el("span", { class: "swatch" });
    swatch.style.setProperty("--of", colourOf(version));
    const words = version ? `${counted(calls, "call")} on ${counted(workers.length, "worker")}` : counted(workers.length, "worker");
    const title = el("h3", {}, swatch, version || "not met yet", el("small", {}, words));
    return el("div", { class: "version" }, title, ...workers.map(workerLine));
  });
  only($("workers"), parts.length ? parts : [el("p", { class: "empty" }, "No worker is known.")]);
  if (held) document.querySelector(`[data-worker="${CSS.escape(held)}"]`)?.focus();
}

function callsOf(workers) {
  return workers.reduce((sum, worker) => sum + worker.sessions, 0);
}

// How the calls are spread over versions: in a deploy, one colour gives way to the other.
function showShare(versions) {
  const parts = versions.map(([version, workers]) => [version, callsOf(workers)]).filter(([, calls]) => calls);
  $("share").hidden = !parts.length;
  $("share").setAttribute("aria-label", parts.map(([version, calls]) => `${version || "unknown"}: ${counted(calls, "call")}`).join(", "));
  only($("share"), parts.map(([version, calls]) => {
    const part = el("span", {}, `${version || "unknown"} · ${calls}`);
    part.style.setProperty("--of", colourOf(version));
    part.style.flexGrow = calls;
    return part;
  }));
}

function workerLine(worker) {
  const kind = { ready: "good", draining: "warn", lost: "bad", ejected: "bad" }[worker.state] ?? "";
  const drain = worker.drain;
  const line = el("div", { class: worker.version ? "worker" : "worker unmet" },
    el("code", {}, worker.pod?.name ?? worker.address),
    el("span", { class: `chip ${kind}` }, worker.state));
  if (worker.version) line.append(el("span", {}, counted(worker.sessions, "call")));
  if (drain) {
    const bar = el("progress", { max: String(Math.max(drain.began_with, 1)), value: String(drain.began_with - drain.left) });
    bar.title = `${drain.left} of ${drain.began_with} calls left`;
    const oldest = drain.oldest_unix_us ? `, the oldest ${duration(book.now() - drain.oldest_unix_us)} old` : "";
    line.append(el("div", {}, bar, el("small", {}, `${drain.left} left${oldest}`)));
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
  if (!answer.ok && answer.status !== 401) note(await answer.text());
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

// Whether a person would not say the token: then only what he does himself asks for it again.
let withheld = false;
function enterToken() {
  if ($("token").open) return;
  $("token-value").value = token;
  $("token").returnValue = "no";
  $("token").showModal();
}
$("key").addEventListener("click", enterToken);
$("token").addEventListener("close", () => {
  withheld = $("token").returnValue !== "yes";
  if (withheld) return;
  token = $("token-value").value;
  sessionStorage.setItem("holdline.token", token);
  note("");
  stream.again();
});

// A call that came into sight: what happened to it before this page was there.
async function look(call) {
  try {
    const answer = await fetch(`/sessions/${encodeURIComponent(call.brief.id)}`, { headers: headers() });
    if (answer.ok) book.recall(call, (await answer.json()).timeline);
  } catch {
    // It is asked again when it comes into sight the next time.
    call.asked = false;
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
    ["age", duration(book.now() - call.started_unix_us)],
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
    if (status === 401 && !withheld) enterToken();
  },
  event(name, data) {
    book.take(name, data);
    changed();
  },
});

$("search").addEventListener("input", () => { rows.filter.words = $("search").value.trim().toLowerCase(); changed(); });
$("show").addEventListener("change", () => { rows.filter.show = $("show").value; changed(); });
$("span").addEventListener("change", () => { rows.wanted = Number($("span").value) || null; changed(); });
addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|SELECT)$/.test(document.activeElement?.tagName ?? "")) {
    event.preventDefault();
    $("search").focus();
  }
});
addEventListener("resize", changed);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
// Time passes on the lines though nothing happens.
setInterval(changed, 1000);
changed();
