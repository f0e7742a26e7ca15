// The list of calls. Thousands of them may be there; only those in sight have elements, and these are
// used again as the list is scrolled.

import { drawTimeline } from "./draw.js";
import { duration, el } from "./words.js";

const HEIGHT = 34;
// Calls whose past is asked for at once.
const LOOKS = 4;

export class Rows {
  constructor(book, { list, rows, open, look }) {
    Object.assign(this, { book, list, rows, open, look });
    this.filter = { words: "", show: "live" };
    this.seconds = 300;
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
    this.rows.style.height = `${this.shown.length * HEIGHT}px`;
    this.place();
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
    const [name, age, version, canvas] = [el("code"), el("span"), el("span"), el("canvas", { role: "img" })];
    const row = el("div", { class: "row", role: "option" }, name, age, version, canvas);
    const line = { row, name, age, version, canvas, call: null };
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
    line.name.textContent = brief.call_sid ?? brief.id;
    const until = brief.phase === "ended" ? brief.end?.at_unix_us ?? now : now;
    line.age.textContent = duration(until - brief.started_unix_us);
    line.version.textContent = brief.phase === "ended" ? `${brief.end?.reason ?? "ended"} (${brief.end?.fault ?? "?"})` : brief.worker?.version ?? "no worker";
    line.canvas.setAttribute("aria-label", `${brief.handoffs} handoffs, ${brief.losses} workers lost, ${brief.holds} holds`);
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
