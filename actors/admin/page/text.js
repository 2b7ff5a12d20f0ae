// Figures as people read them.

export function count(n) {
  if (n === null || n === undefined) return "–";
  if (n > 0 && n < 10) return n.toFixed(1).replace(/\.0$/, "");
  if (n < 10000) return Math.round(n).toLocaleString("en-US");
  for (const [unit, size] of [["k", 1e3], ["M", 1e6], ["G", 1e9], ["T", 1e12]]) {
    if (n < 1000 * size) return (n / size).toFixed(n < 10 * size ? 2 : n < 100 * size ? 1 : 0) + " " + unit;
  }
  return n.toExponential(1);
}

export function bytes(n) {
  if (n === null || n === undefined) return "–";
  if (n < 1024) return Math.round(n) + " B";
  let unit = -1;
  do { n /= 1024; unit++; } while (n >= 1024 && unit < 4);
  return n.toFixed(n < 10 ? 1 : 0) + " " + "KMGTP"[unit] + "iB";
}

export function time(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1) return Math.round(ms * 1000) + " µs";
  if (ms < 100) return ms.toFixed(ms < 10 ? 1 : 0) + " ms";
  if (ms < 1000) return Math.round(ms) + " ms";
  if (ms < 60000) return (ms / 1000).toFixed(1) + " s";
  return Math.round(ms / 60000) + " min";
}

export function ratio(n) {
  return n === null || n === undefined ? "–" : count(n) + "×";
}

export function age(ms) {
  const s = Math.max(0, ms / 1000);
  if (s < 60) return Math.floor(s) + " s";
  if (s < 3600) return Math.floor(s / 60) + " min";
  if (s < 86400) return (s / 3600).toFixed(1) + " h";
  return (s / 86400).toFixed(1) + " d";
}

// whole writes an integer given as text, which may be beyond what a number holds.
export function whole(text) {
  return String(text).replace(/\B(?=(\d{3})+$)/g, ",");
}
