// Pictures on canvases.

import { duration, el, millis } from "./words.js";

const HUES = [212, 28, 150, 280, 340, 95, 185, 55, 250, 5];
const versions = new Map();

// A version's colour: the same wherever it appears, and as far from its neighbours' as can be.
export function colourOf(version) {
  if (!version) return "var(--faint)";
  if (!versions.has(version)) versions.set(version, HUES[versions.size % HUES.length]);
  const light = matchMedia("(prefers-color-scheme: dark)").matches ? 58 : 46;
  return `hsl(${versions.get(version)} 62% ${light}%)`;
}

// A colour of the sheet, as a canvas understands it: there it may stand for one in light and one in dark.
const sheet = new Map();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => sheet.clear());
function ofSheet(name) {
  if (!sheet.has(name)) {
    const probe = el("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    sheet.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return sheet.get(name);
}

export function legend(book) {
  const names = [...new Set(book.workers.map((worker) => worker.version).filter(Boolean))];
  names.sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  const of = names.map((name) => {
    const swatch = el("span", { class: "swatch" });
    swatch.style.setProperty("--of", colourOf(name));
    return el("span", {}, swatch, ` ${name}`);
  });
  return [...of, el("span", {}, "▏ handoff, and its gap"), el("span", {}, "▨ held, or without a worker"), el("span", {}, "✕ frames lost")];
}

function prepared(canvas) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

// The times in which one worker had the call, and those in which none had.
function spans(call, now) {
  const found = [];
  let open = null;
  const close = (at) => { if (open) found.push({ ...open, to: at }); open = null; };
  for (const moment of call.moments) {
    const at = moment.at_unix_us;
    if (moment.event === "attached") { close(at); open = { from: at, version: moment.version }; }
    if (moment.event === "lost" || moment.event === "hold_started") { close(at); open = { from: at, version: null }; }
    if (moment.event === "ended") close(at);
  }
  const { brief } = call;
  if (!found.length && !open && brief.worker) open = { from: brief.started_unix_us, version: brief.worker.version, faint: !call.whole };
  close(brief.phase === "ended" ? brief.end?.at_unix_us ?? now : now);
  return found;
}

export function drawTimeline(canvas, call, now, seconds) {
  const { pen, width, height } = prepared(canvas);
  const begin = now - seconds * 1e6;
  const x = (at) => Math.max(0, ((at - begin) / (seconds * 1e6)) * width);
  for (const span of spans(call, now)) {
    if (span.to < begin) continue;
    const [from, to] = [x(span.from), Math.max(x(span.to), x(span.from) + 1)];
    if (span.version === null) {
      pen.fillStyle = "hsl(4 75% 55% / .35)";
      pen.fillRect(from, 2, to - from, height - 4);
      pen.strokeStyle = "hsl(4 75% 55%)";
      pen.beginPath();
      for (let at = from - height; at < to; at += 5) { pen.moveTo(Math.max(at, from), height - 2); pen.lineTo(Math.min(at + height, to), 2); }
      pen.stroke();
    } else {
      pen.globalAlpha = span.faint ? 0.5 : 1;
      pen.fillStyle = colourOf(span.version);
      pen.fillRect(from, 4, to - from, height - 8);
      pen.globalAlpha = 1;
    }
  }
  pen.lineWidth = 1;
  pen.font = "10px system-ui, sans-serif";
  let free = 0;
  for (const moment of call.moments) {
    const at = x(moment.at_unix_us);
    if (moment.at_unix_us < begin) continue;
    pen.fillStyle = ofSheet("--ink");
    if (moment.event === "handoff") {
      pen.fillRect(at - 0.75, 1, 1.5, height - 2);
      free = drawGap(pen, moment.gap_us, at, { free, width, height });
    }
    if (moment.event === "media_lost") pen.fillText("✕", at - 4, height - 5);
  }
}

// A handoff's gap, beside its line where there is room. One that could be heard is shown even if there is none.
function drawGap(pen, gap, at, { free, width, height }) {
  const words = millis(gap / 1e6);
  const wide = pen.measureText(words).width;
  const left = at + 4 + wide > width ? at - 4 - wide : at + 4;
  if (left < free && gap < 20_000) return free;
  pen.fillStyle = ofSheet("--ground");
  pen.fillText(words, left, height / 2 + 3.5);
  return Math.max(left + wide, at) + 4;
}

export function drawDelay(canvas, delays) {
  const { pen, width, height } = prepared(canvas);
  const [left, bottom] = [48, 16];
  // One for each second. A page that was opened just now has few.
  const seconds = Math.max(20, delays.length);
  // Nothing longer than the last bucket is known; a second without inputs has no delay.
  const shown = (delay, what) => (delay[what] === null ? null : Math.min(delay[what], delay.longest));
  const most = Math.max(0.001, ...delays.map((delay) => shown(delay, "p99")));
  const top = nice(most);
  const y = (value) => height - bottom - (value / top) * (height - bottom - 6);
  const x = (index) => left + ((index + seconds - delays.length) / (seconds - 1)) * (width - left - 4);
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = ofSheet("--faint");
  pen.strokeStyle = ofSheet("--line");
  for (const share of [0, 0.5, 1]) {
    pen.beginPath();
    pen.moveTo(left, y(top * share));
    pen.lineTo(width, y(top * share));
    pen.stroke();
    pen.fillText(share ? millis(top * share) : "0", 2, y(top * share) + 4);
  }
  pen.fillText(`${duration(seconds * 1e6)} ago`, left, height - 3);
  pen.fillText("now", width - 24, height - 3);
  const handoffs = Math.max(1, ...delays.map((delay) => delay.handoffs));
  pen.fillStyle = ofSheet("--line");
  delays.forEach((delay, index) => {
    const tall = (delay.handoffs / handoffs) * (height - bottom - 6);
    pen.fillRect(x(index) - 1, height - bottom - tall, 2, tall);
  });
  let key = left + 6;
  for (const [what, colour, wide, words] of [["p50", "--mark", 2, "half of them"], ["p99", "--warn", 1.5, "99 of 100"]]) {
    pen.strokeStyle = pen.fillStyle = ofSheet(colour);
    pen.lineWidth = wide;
    pen.beginPath();
    let on = false;
    delays.forEach((delay, index) => {
      const value = shown(delay, what);
      if (value !== null) pen[on ? "lineTo" : "moveTo"](x(index), y(value));
      on = value !== null;
    });
    pen.stroke();
    pen.fillText(`― ${words}`, key, 16);
    key += pen.measureText(`― ${words}`).width + 14;
  }
  pen.fillStyle = ofSheet("--faint");
  pen.fillText("▮ handoffs", key, 16);
}

// The next of 1, 2, 5 times a power of ten.
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}
