// Small helpers: elements, and numbers in words.

export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== "") element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export function only(parent, children) {
  parent.replaceChildren(...children);
}

// 1 call, 2 calls.
export function counted(count, what) {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

// Microseconds as people say them.
export function duration(us) {
  const seconds = Math.max(0, Math.floor(us / 1e6));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (h) return `${h} h ${String(m).padStart(2, "0")} m`;
  return m ? `${m} m ${String(s).padStart(2, "0")} s` : `${s} s`;
}

// Seconds, short.
export function millis(seconds) {
  if (seconds >= 1) return `${seconds.toFixed(1)} s`;
  const ms = seconds * 1000;
  return ms >= 10 ? `${Math.round(ms)} ms` : `${ms.toFixed(ms >= 1 ? 1 : 2)} ms`;
}
