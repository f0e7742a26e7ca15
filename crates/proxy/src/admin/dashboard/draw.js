// Pictures on canvases.

import { duration, el, millis } from "./words.js";

const HUES = [212, 28, 150, 280, 340, 95, 185, 55, 250, 5];
const versions = new Map();

// A version's colour: the same wherever it appears, and as far from its neighbours' as can be.
export function colourOf(version) {
  if (!version) return ofSheet("--faint");
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

export function swatchOf(version) {
  const swatch = el("span", { class: "swatch" });
  swatch.style.setProperty("--of", colourOf(version));
  return swatch;
}

export function legend(book) {
  const names = [...new Set(book.workers.map((worker) => worker.version).filter(Boolean))];
  names.sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  const of = names.map((name) => el("span", {}, swatchOf(name), ` ${name}`));
  return [...of, el("span", {}, "┃ handoff, and its gap"), el("span", {}, "▨ held, or without a worker"), el("span", {}, "✕ frames lost")];
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

// The times in which one worker had the call, those in which none had, and the one that is not known.
export function spans({ brief, moments, dropped }, now) {
  const found = [];
  let open = null;
  const next = (at, what) => {
    if (open) found.push({ ...open, to: at });
    open = what && { from: at, ...what };
  };
  if (dropped) next(brief.started_unix_us, { unknown: true });
  for (const { at_unix_us: at, event, version } of moments) {
    if (event === "attached") next(at, { version });
    if (event === "lost" || event === "hold_started") next(at, { version: null });
    if (event === "ended") next(at, null);
  }
  // Nothing that is known changed who has it.
  if (open?.unknown && moments.length && brief.worker) {
    next(moments[0].at_unix_us, { version: brief.held_since_unix_us ? null : brief.worker.version });
  }
  next(brief.phase === "ended" ? brief.end?.at_unix_us ?? now : now, null);
  return found;
}

export function drawTimeline(canvas, call, now, seconds) {
  const { pen, width, height } = prepared(canvas);
  const begin = now - seconds * 1e6;
  const x = (at) => Math.max(0, ((at - begin) / (seconds * 1e6)) * width);
  const all = spans(call, now).filter((span) => span.to >= begin);
  for (const span of all) {
    const [from, to] = [x(span.from), Math.max(x(span.to), x(span.from) + 1)];
    if (span.version === null) {
      pen.fillStyle = "hsl(4 75% 55% / .35)";
      pen.fillRect(from, 2, to - from, height - 4);
      pen.strokeStyle = "hsl(4 75% 55%)";
      pen.beginPath();
      for (let at = from - height; at < to; at += 5) { pen.moveTo(Math.max(at, from), height - 2); pen.lineTo(Math.min(at + height, to), 2); }
      pen.stroke();
    } else {
      pen.fillStyle = span.unknown ? ofSheet("--line") : colourOf(span.version);
      pen.fillRect(from, 4, to - from, height - 8);
    }
  }
  pen.lineWidth = 1;
  pen.font = "10px system-ui, sans-serif";
  const end = all.length ? x(all.at(-1).to) : width;
  let free = 0;
  for (const moment of call.moments) {
    const at = x(moment.at_unix_us);
    if (moment.at_unix_us < begin) continue;
    if (moment.event === "handoff") {
      pen.fillStyle = ofSheet("--card");
      pen.fillRect(at - 2, 0, 4, height);
      pen.fillStyle = ofSheet("--ink");
      pen.fillRect(at - 1, 0, 2, height);
      free = drawGap(pen, moment.gap_us, at, { free, end, height });
    }
    pen.fillStyle = ofSheet("--ink");
    if (moment.event === "media_lost") pen.fillText("✕", at - 4, height - 5);
  }
}

// A handoff's gap, beside its line where there is room. One that could be heard is shown even if there is none.
function drawGap(pen, gap, at, { free, end, height }) {
  const words = millis(gap / 1e6);
  const wide = pen.measureText(words).width;
  const left = at + 6 + wide > end ? at - 5 - wide : at + 5;
  if (left < free && gap < 20_000) return free;
  pen.fillStyle = ofSheet("--ground");
  pen.fillText(words, left, height / 2 + 3.5);
  return Math.max(left + wide, at) + 4;
}

// In seconds: the least and the most that the plot of the delay shows, and how long a frame of audio is.
const [FASTEST, SLOWEST] = [1e-4, 1];
const FRAME = 0.02;
// Counters come once a second: where none came for so many microseconds, nothing is known.
const PAUSE = 2.5e6;

export function drawDelay(canvas, delays, now) {
  const { pen, width, height } = prepared(canvas);
  const [left, right, top, bottom] = [46, width - 4, 16, height - 16];
  // A page that was opened just now has few.
  const seconds = Math.max(20, Math.ceil((now - (delays[0]?.at ?? now)) / 1e6));
  const share = (value) => Math.log(value / FASTEST) / Math.log(SLOWEST / FASTEST);
  const y = (value) => bottom - Math.min(Math.max(share(value), 0), 1) * (bottom - top);
  const x = (at) => right - ((now - at) / (seconds * 1e6)) * (right - left);
  const line = (from, to) => { pen.beginPath(); pen.moveTo(...from); pen.lineTo(...to); pen.stroke(); };
  pen.font = "11px system-ui, sans-serif";
  pen.lineWidth = 1;
  pen.strokeStyle = ofSheet("--line");
  pen.fillStyle = ofSheet("--faint");
  pen.textAlign = "right";
  for (const value of [1e-4, 1e-3, 1e-2, 1e-1, 1]) {
    line([left, y(value)], [right, y(value)]);
    pen.fillText(value < 1e-3 ? "0.1 ms" : value < 1 ? `${value * 1000} ms` : "1 s", left - 6, y(value) + 4);
  }
  pen.fillText("now", right, height - 3);
  pen.textAlign = "left";
  pen.fillText(`${duration(seconds * 1e6)} ago`, left, height - 3);

  // Behind the lines: seconds in which calls moved, and how many above them where there is room.
  let free = left;
  for (const { at, handoffs } of delays.filter((delay) => delay.handoffs)) {
    const wide = Math.max((right - left) / seconds, 2);
    pen.fillStyle = ofSheet("--move");
    pen.globalAlpha = 0.14;
    pen.fillRect(x(at) - wide, top, wide, bottom - top);
    pen.globalAlpha = 1;
    pen.fillRect(x(at) - wide, top - 2, wide, 3);
    const from = x(at) - (wide + pen.measureText(handoffs).width) / 2;
    if (from < free) continue;
    pen.fillText(handoffs, from, top - 5);
    free = from + pen.measureText(handoffs).width + 4;
  }

  pen.strokeStyle = ofSheet("--bad");
  pen.setLineDash([4, 4]);
  line([left, y(FRAME)], [right, y(FRAME)]);
  pen.setLineDash([]);

  pen.lineJoin = "round";
  for (const [what, colour, wide] of [["p99", "--faint", 1.25], ["p50", "--ink", 2]]) {
    pen.strokeStyle = ofSheet(colour);
    pen.lineWidth = wide;
    pen.beginPath();
    let before = null;
    for (const delay of delays) {
      // A second without inputs has no delay.
      const value = delay[what];
      if (value !== null) pen[before !== null && delay.at - before < PAUSE ? "lineTo" : "moveTo"](x(delay.at), y(value));
      before = value === null ? null : delay.at;
    }
    pen.stroke();
  }
}
