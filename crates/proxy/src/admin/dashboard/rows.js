// The list of calls. Thousands of them may be there; only those in sight have elements, and these are
// used again as the list is scrolled.

import { drawTimeline } from "./draw.js";
import { counted, duration, el, millis, only } from "./words.js";

const HEIGHT = 34;
// Calls whose past is asked for at once.
const LOOKS = 4;
// What timelines show where nobody chose, in seconds.
const SPAN_MIN = 20;
const SPAN_MAX = 7_200;

export class Rows {
  constructor(book, { head, list, rows, open, look }) {
    Object.assign(this, { book, head, list, rows, open, look });
    this.filter = { words: "", show: "live" };
    // What the person wants to see; null: what there is.
    this.wanted = null;
    this.seconds = SPAN_MIN;
    this.shown = [];
    this.lines = [];
    this.chosen = null;
    this.looking = 0;
    list.addEventListener("scroll", () => this.place());
    list.addEventListener("keydown", (event) => this.key(event));
  }

  show() {
    const { show, words } = this.filter;
    const from = show === "ended" ? this.book.ended : [...this.book.calls.values()];
    this.shown = from.filter(({ brief }) => {
      if (show === "held" && !brief.held_since_unix_us) return false;
      if (show === "moved" && !brief.handoffs) return false;
      if (!words) return true;
      const of = [brief.call_sid, brief.id, brief.worker?.version, brief.worker?.address, brief.end?.reason, brief.end?.fault];
      return of.some((text) => text?.toLowerCase().includes(words));
    });
    this.seconds = this.wanted ?? fitting(this.shown, this.book.now());
    this.rows.style.height = `${this.shown.length * HEIGHT}px`;
    this.headline(show === "ended");
    this.place();
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
    line.words.textContent = line.words.title = inWords(brief);
    line.words.classList.toggle("bad", brief.phase === "ended" && brief.end?.fault !== "none");
    line.canvas.setAttribute("aria-label", [counted(brief.handoffs, "handoff"), `${counted(brief.losses, "worker")} lost`, counted(brief.holds, "hold")].join(", "));
    line.canvas.title = line.canvas.getAttribute("aria-label");
    drawTimeline(line.canvas, call, now, this.seconds);
    if (!call.whole && !call.asked && this.looking < LOOKS) this.recall(call);
  }

  async recall(call) {
    call.asked = true;
    this.looking += 1;
    await this.look(call);
    this.looking -= 1;
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    const at = this.shown.findIndex((call) => call.brief.id === this.chosen);
    if (event.key === "Enter" && at >= 0) return this.open(this.shown[at]);
    if (!step || !this.shown.length) return;
    event.preventDefault();
    const next = Math.min(Math.max(at < 0 ? 0 : at + step, 0), this.shown.length - 1);
    this.chosen = this.shown[next].brief.id;
    const top = next * HEIGHT;
    if (top < this.list.scrollTop) this.list.scrollTop = top;
    if (top + HEIGHT > this.list.scrollTop + this.list.clientHeight) this.list.scrollTop = top + HEIGHT - this.list.clientHeight;
    this.place();
    this.list.setAttribute("aria-activedescendant", `call-${this.chosen}`);
  }
}

// What there is to say of a call in few words: how it ended, or how often it has moved.
function inWords({ phase, end, handoffs, gap_max_us: gap }) {
  if (phase === "ended") return `${end?.reason ?? "ended"}, fault: ${end?.fault ?? "unknown"}`;
  return handoffs ? `${handoffs}, gap up to ${millis(gap / 1e6)}` : "none";
}

// A span that holds all of these calls.
function fitting(calls, now) {
  const oldest = calls.reduce((oldest, { brief }) => Math.min(oldest, brief.started_unix_us), now);
  return Math.min(Math.max(Math.ceil((now - oldest) / 1e6), SPAN_MIN), SPAN_MAX);
}
