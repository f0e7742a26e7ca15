// The list of calls. Thousands of them may be there; only those in sight have elements, and these are
// used again as the list is scrolled.

import { drawTimeline } from "./draw.js";
import { counted, duration, el, millis, only } from "./words.js";

const HEIGHT = 34;
// Calls whose past is asked for at once, and how long one waits that was not answered, in milliseconds.
const LOOKS = 4;
const WAIT_MIN = 1_000;
const WAIT_MAX = 60_000;
// What is whole enough to ask the edge for: a carrier's name of a call, or a session's.
const NAME = /^(ca)?[0-9a-f]{32}$/;
// What timelines show where nobody chose, in seconds.
const SPAN_MIN = 20;
const SPAN_MAX = 7_200;

export class Rows {
  constructor(book, { head, list, rows, open, look, seek }) {
    Object.assign(this, { book, head, list, rows, open, look, seek });
    this.filter = { words: "", show: "live" };
    // What the person wants to see; null: what there is.
    this.wanted = null;
    this.seconds = SPAN_MIN;
    this.shown = [];
    this.lines = [];
    this.chosen = null;
    this.looking = 0;
    // What was asked for by name, and the call that ended if there is one.
    this.sought = { words: "", call: null };
    list.addEventListener("scroll", () => this.place());
    list.addEventListener("keydown", (event) => this.key(event));
  }

  show() {
    const { show, words } = this.filter;
    const from = show === "ended" ? this.book.ended : [...this.book.calls.values()];
    this.shown = from.filter((call) => {
      if (show === "held" && !call.brief.held_since_unix_us) return false;
      if (show === "moved" && !call.brief.handoffs) return false;
      return fits(call, words);
    });
    if (!this.shown.length) this.shown = this.older(words);
    this.over = show === "ended" || this.shown[0]?.brief.phase === "ended";
    this.seconds = this.wanted ?? fitting(this.shown, this.book.now());
    this.rows.style.height = `${this.shown.length * HEIGHT}px`;
    this.headline(this.over);
    this.place();
  }

  // A call that ended, by its name, where none that lives has it: this page may know of it, or the edge.
  older(words) {
    if (!NAME.test(words) || [...this.book.calls.values()].some((call) => fits(call, words))) return [];
    const known = this.book.ended.filter((call) => fits(call, words));
    if (known.length) return known;
    if (this.sought.words !== words) {
      this.sought = { words, call: null };
      this.seek(this.sought);
    }
    return this.sought.call ? [this.sought.call] : [];
  }

  headline(ended) {
    this.list.parentElement.classList.toggle("ended", ended);
    const axis = el("span", { class: "axis" }, el("span", {}, `${duration(this.seconds * 1e6)} ago`), el("span", {}, "now"));
    const words = ["Call", ended ? "Lasted" : "Age", "Version", ended ? "How it ended" : "Handoffs"];
    only(this.head, [...words.map((word) => el("span", {}, word)), axis]);
  }

  place() {
    const first = Math.max(0, Math.floor(this.list.scrollTop / HEIGHT) - 2);
    const count = Math.ceil(this.list.clientHeight / HEIGHT) + 4;
    const sight = this.shown.slice(first, first + count);
    while (this.lines.length < sight.length) this.lines.push(this.line());
    while (this.lines.length > sight.length) this.lines.pop().row.remove();
    sight.forEach((call, index) => this.fill(this.lines[index], call, first + index));
  }

  line() {
    const [name, age, version, words] = [el("code"), el("span"), el("span"), el("span", { class: "words" })];
    const canvas = el("canvas", { role: "img" });
    const row = el("div", { class: "row", role: "option" }, name, age, version, words, canvas);
    const line = { row, name, age, version, words, canvas, call: null };
    row.addEventListener("click", () => {
      this.chosen = line.call.brief.id;
      this.open(line.call);
      this.place();
    });
    this.rows.append(row);
    return line;
  }

  fill(line, call, index) {
    const { brief } = call;
    const now = this.book.now();
    line.call = call;
    line.row.style.top = `${index * HEIGHT}px`;
    line.row.id = `call-${brief.id}`;
    line.row.setAttribute("aria-selected", String(brief.id === this.chosen));
    line.row.setAttribute("aria-posinset", index + 1);
    line.row.setAttribute("aria-setsize", this.shown.length);
    line.name.textContent = brief.call_sid ?? brief.id;
    const until = brief.phase === "ended" ? brief.end?.at_unix_us ?? now : now;
    line.age.textContent = duration(until - brief.started_unix_us);
    line.version.textContent = brief.worker?.version ?? "no worker";
    line.words.textContent = line.words.title = inWords(brief, now);
    line.words.classList.toggle("bad", brief.phase === "ended" ? brief.end?.fault !== "none" : Boolean(brief.held_since_unix_us));
    const told = [counted(brief.handoffs, "handoff"), `${counted(brief.losses, "worker")} lost`, counted(brief.holds, "hold")];
    if (call.whole && call.dropped) told.push("its beginning is not kept");
    line.canvas.title = told.join(", ");
    line.canvas.setAttribute("aria-label", line.canvas.title);
    drawTimeline(line.canvas, call, now, this.seconds);
    if (!call.whole && !call.asked && Date.now() >= (call.again ?? 0) && this.looking < LOOKS) this.recall(call);
  }

  async recall(call) {
    call.asked = true;
    this.looking += 1;
    if (!(await this.look(call))) {
      call.wait = Math.min((call.wait ?? WAIT_MIN / 2) * 2, WAIT_MAX);
      call.again = Date.now() + call.wait;
    }
    call.asked = false;
    this.looking -= 1;
  }

  key(event) {
    const all = this.shown.length;
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -all, End: all }[event.key];
    const at = this.shown.findIndex((call) => call.brief.id === this.chosen);
    if (event.key === "Enter" && at >= 0) {
      // Or the press would go on to what the dialog has first, which closes it.
      event.preventDefault();
      return this.open(this.shown[at]);
    }
    if (!step || !all) return;
    event.preventDefault();
    const next = Math.min(Math.max(at + step, 0), all - 1);
    this.chosen = this.shown[next].brief.id;
    const top = next * HEIGHT;
    if (top < this.list.scrollTop) this.list.scrollTop = top;
    if (top + HEIGHT > this.list.scrollTop + this.list.clientHeight) this.list.scrollTop = top + HEIGHT - this.list.clientHeight;
    this.place();
    this.list.setAttribute("aria-activedescendant", `call-${this.chosen}`);
  }
}

function fits({ brief }, words) {
  const of = [brief.call_sid, brief.id, brief.worker?.version, brief.worker?.address, brief.end?.reason, brief.end?.fault];
  return !words || of.some((text) => text?.toLowerCase().includes(words));
}

// What there is to say of a call in few words: how it ended, that it waits, or how often it has moved.
function inWords({ phase, end, handoffs, gap_max_us: gap, held_since_unix_us: held }, now) {
  if (phase === "ended") return `${end?.reason ?? "ended"}, fault: ${end?.fault ?? "unknown"}`;
  if (held) return `held for ${duration(now - held)}`;
  return handoffs ? `${handoffs}, gap up to ${millis(gap / 1e6)}` : "none";
}

// A span that holds all of these calls.
function fitting(calls, now) {
  const oldest = calls.reduce((oldest, { brief }) => Math.min(oldest, brief.started_unix_us), now);
  return Math.min(Math.max(Math.ceil((now - oldest) / 1e6), SPAN_MIN), SPAN_MAX);
}
