// The operator's page. What comes from the service is text and is only ever put
// into the page as text: keys are whatever clients made them.

import * as text from "./text.js";
import { Plot, show, setSpan, drawAll } from "./plot.js";
import { setRates } from "./flow.js";

const $ = (id) => document.getElementById(id);
const kept = 600; // seconds of points

// Theme: the system's, unless somebody chose.
const dark = matchMedia("(prefers-color-scheme: dark)");
function applyTheme() {
  document.documentElement.dataset.theme = localStorage.getItem("theme") || (dark.matches ? "dark" : "light");
  drawAll();
}
dark.addEventListener("change", applyTheme);
$("theme").addEventListener("click", () => {
  localStorage.setItem("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  applyTheme();
});

const quantiles = (read) => [
  { name: "p50", colour: "a", read: (p) => read(p).p50, format: text.time },
  { name: "p99", colour: "b", read: (p) => read(p).p99, format: text.time },
];
for (const plot of [
  { title: "Requests a second", stacked: true, series: [
    { name: "stored", colour: "a", read: (p) => p.stored, format: text.count },
    { name: "applied", colour: "c", read: (p) => p.applied, format: text.count },
    { name: "memory", colour: "b", read: (p) => p.memory, format: text.count },
    { name: "refused", colour: "bad", read: (p) => p.refused, format: text.count },
  ] },
  { title: "Gear ratio", log: true, series: [
    { name: "increments/batch", colour: "c", read: (p) => p.batch_gear, format: text.ratio },
    { name: "increments/row", colour: "a", read: (p) => p.row_gear, format: text.ratio },
  ] },
  { title: "Freshness: accepted to committed", series: quantiles((p) => p.freshness) },
  { title: "Reply latency", series: quantiles((p) => p.reply) },
  { title: "Flush: sealed to stored", series: quantiles((p) => p.flush) },
  { title: "Commit", series: quantiles((p) => p.commit) },
  { title: "Backlog", series: [{ name: "batches", colour: "a", read: (p) => p.backlog, format: text.count }] },
  { title: "Increments a second", series: [
    { name: "accepted", colour: "b", read: (p) => p.accepted, format: text.count },
    { name: "folded", colour: "a", read: (p) => p.folded, format: text.count },
  ] },
]) new Plot($("plots"), plot);
applyTheme();

for (const button of $("spans").children) {
  button.addEventListener("click", () => {
    for (const b of $("spans").children) b.setAttribute("aria-pressed", String(b === button));
    setSpan(Number(button.dataset.span));
  });
}
setSpan(180);

// element makes an element that holds text.
function element(tag, content, className) {
  const e = document.createElement(tag);
  if (content !== undefined) e.textContent = content;
  if (className) e.className = className;
  return e;
}

// visible shows what would not be seen in a key: control characters, spaces at
// its ends, and what turns the direction of writing.
function visible(key) {
  return key.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|^ | $/g,
    (c) => "\\u{" + c.codePointAt(0).toString(16) + "}");
}

let points = [];

function figures(p) {
  const requests = p.memory + p.stored + p.applied;
  const values = {
    accepted: text.count(p.accepted), requests: text.count(requests), keys: text.count(p.keys), refused: text.count(p.refused),
    batches: text.count(p.batches), deltas: text.count(p.deltas), bytes: text.bytes(p.bytes),
    backlog: p.backlog === null ? "unknown" : text.count(p.backlog),
    folded: text.count(p.folded), commits: text.count(p.commits), fresh50: text.time(p.freshness.p50), fresh99: text.time(p.freshness.p99),
    rows: text.count(p.rows), batch_gear: text.ratio(p.batch_gear), row_gear: text.ratio(p.row_gear), commit99: text.time(p.commit.p99),
  };
  for (const e of document.querySelectorAll("[data-v]")) e.textContent = values[e.dataset.v];
  setRates({ accepted: p.accepted, batches: p.batches, fetched: p.batches, rows: p.rows });
}

function conservation(c) {
  const line = $("conservation");
  line.replaceChildren();
  const whole = (n) => n.toLocaleString("en-US");
  const term = (sign, name, n) => { // is not broken
    const e = element("span", sign, "term");
    e.append(element("span", name), element("b", whole(n)));
    line.append(e);
  };
  term("", "accepted", c.accepted);
  term("=", "in memory", c.in_memory);
  term("+", "published", c.published);
  term("", "of which backlog", c.backlog);
  term("+", "folded", c.folded);
  if (c.lost > 0) term("+", "lost", c.lost);
  line.classList.toggle("broken", c.broken + c.lost_batches > 0);
  line.append(element("span", c.broken > 0 ? "✗ " + whole(c.broken) + (c.broken === 1 ? " increment does" : " increments do") + " not add up: run piccolo verify"
    : c.lost_batches > 0 ? "✗ " + whole(c.lost_batches) + (c.lost_batches === 1 ? " batch is" : " batches are") + " neither in the ledger nor in the stream: run piccolo verify"
    : !c.followed ? "waiting for a writer's report" : c.backlog + c.in_memory > 0 ? "✓ nothing lost, nothing twice" : "✓ all committed, nothing lost, nothing twice", "mark"));
}

// rows puts one row for each item into a table's body, keeping the elements that
// are there: what has the focus keeps it.
function rows(body, items, make, fill) {
  while (body.children.length > items.length) body.lastElementChild.remove();
  items.forEach((item, i) => {
    if (i >= body.children.length) body.append(make());
    fill(body.children[i], item);
  });
}

function set(cell, content) {
  if (cell.textContent === content) return;
  cell.textContent = content;
}

function setMoved(cell, content) {
  if (cell.textContent === content) return;
  const first = cell.textContent === "";
  cell.textContent = content;
  if (first) return;
  cell.classList.remove("moved");
  void cell.offsetWidth; // so that it starts again
  cell.classList.add("moved");
}

function hottest(list) {
  const most = list.length ? list[0].moved : 1;
  rows($("hottest"), list.slice(0, 12), () => {
    const row = element("tr");
    const key = element("td");
    const pick = element("button", undefined, "pick");
    pick.type = "button";
    pick.addEventListener("click", () => { $("search").value = pick.dataset.key; find(); $("search").focus(); });
    key.append(pick, element("div", undefined, "bar"));
    row.append(key, element("td", undefined, "n"), element("td", undefined, "n"));
    return row;
  }, (row, hot) => {
    const [key, moved, value] = row.children;
    key.firstElementChild.dataset.key = hot.key;
    set(key.firstElementChild, visible(hot.key));
    key.firstElementChild.title = hot.key;
    key.lastElementChild.style.width = Math.max(1, (100 * hot.moved) / most) + "%";
    set(moved, text.count(hot.moved));
    setMoved(value, hot.value === undefined ? "–" : text.whole(hot.value));
  });
}

function processes(list) {
  rows($("processes").tBodies[0], list, () => {
    const row = element("tr");
    for (const head of $("processes").tHead.rows[0].cells) {
      const cell = element("td", undefined, head.className);
      cell.dataset.label = head.textContent; // where the table is too wide
      row.append(cell);
    }
    row.firstElementChild.append(element("span", undefined, "dot"), element("span"));
    for (const cell of row.querySelectorAll(".says")) cell.append(element("div"));
    return row;
  }, (row, p) => {
    const how = condition(p);
    row.className = how.className;
    const cells = row.children;
    set(cells[0].lastElementChild, p.role);
    set(cells[1], p.host + ":" + p.pid + (p.partitions.length ? " · partition " + spans(p.partitions) : ""));
    cells[1].title = [p.api, p.admin].filter(Boolean).join(" ");
    set(cells[2], p.version.split("+")[0]);
    cells[2].title = p.version;
    set(cells[3], text.age(Date.now() - p.started));
    const ingress = p.role !== "writer", writer = p.role !== "ingress";
    set(cells[4], ingress ? text.count(p.accepted) : "");
    set(cells[5], writer ? text.count(p.folded) : "");
    set(cells[6], ingress ? text.count(p.in_memory) : "");
    set(cells[7], writer ? text.count(p.backlog) : "");
    set(cells[8], writer ? text.time(p.freshness) : "");
    say(cells[9], how.says);
    say(cells[10], p.error ? text.age(Date.now() - p.error_at) + " ago: " + p.error : "none");
  });
}

// say puts words into a cell that has room for some, and all of them into its
// title.
function say(cell, words) {
  set(cell.firstElementChild, words);
  cell.title = words;
}

// condition is how a process is, or how it ended.
function condition(p) {
  if (p.ended) return { className: p.ended === "stopped" ? "stopped" : "wrong", says: p.ended + ", " + text.age(Date.now() - p.ended_at) + " ago" };
  if (p.silent > 0) return { className: "silent", says: "silent for " + text.age(1000 * p.silent) };
  if (p.unready) return { className: "wrong", says: "not ready, " + p.unready };
  return p.warning ? { className: "warn", says: p.warning } : { className: "", says: "ready" };
}

// spans writes numbers in order as 0-2,5.
function spans(numbers) {
  const out = [];
  for (const n of numbers) {
    const last = out[out.length - 1];
    if (last && last[1] === n - 1) last[1] = n;
    else out.push([n, n]);
  }
  return out.map(([a, b]) => (a === b ? a : a + "–" + b)).join(",");
}

function state(snapshot) {
  const list = snapshot.processes.filter((p) => p.ended !== "stopped");
  const bad = list.filter((p) => ["silent", "wrong"].includes(condition(p).className)), warns = list.filter((p) => p.warning);
  const pill = $("state");
  const alone = snapshot.unserved.length ? "no writer reports on partition " + spans(snapshot.unserved) : "";
  pill.className = "pill " + (bad.length || snapshot.conservation.broken + snapshot.conservation.lost_batches ? "bad" : alone || warns.length ? "warn" : "good");
  const says = bad.length ? bad.map((p) => p.role + (p.ended ? " " + p.ended : p.silent > 0 ? " is silent" : " is not ready, " + p.unready)).concat(alone || []).join("; ")
    : "live · " + list.length + (list.length === 1 ? " process" : " processes") + (alone ? " · " + alone : warns.length ? " · " + warns[0].warning : "");
  if (pill.textContent !== says) pill.textContent = says;
  pill.title = says;
}

// find asks for the keys that start with what is in the search, and again each
// second, but for as long as the same question waits for its answer. Only the
// last answer counts.
let asked = 0, asking = "";
async function find() {
  const prefix = $("search").value;
  if (prefix !== "" && prefix === asking) return;
  const mine = ++asked;
  asking = prefix;
  if (prefix === "") {
    rows($("found"), []);
    $("nothing").textContent = "";
    return;
  }
  let list = [], problem = "";
  try {
    const reply = await fetch("/find?prefix=" + encodeURIComponent(prefix), { signal: AbortSignal.timeout(5000) });
    if (reply.ok) ({ numbers: list, missing: problem } = await reply.json());
    else problem = await reply.text();
  } catch {
    problem = "The service does not answer.";
  }
  if (mine !== asked) return;
  asking = "";
  rows($("found"), list, () => {
    const row = element("tr");
    row.append(element("td"), element("td", undefined, "n"));
    return row;
  }, (row, n) => {
    set(row.children[0], visible(n.key));
    row.children[0].title = n.key;
    if (row.dataset.key !== n.key) row.children[1].textContent = "";
    row.dataset.key = n.key;
    setMoved(row.children[1], text.whole(n.value));
  });
  $("nothing").textContent = problem || (list.length ? "" : "No key starts with that.");
}
$("search").addEventListener("input", find);

addEventListener("keydown", (e) => {
  if (e.key === "/" && document.activeElement !== $("search") && !e.ctrlKey && !e.metaKey && !e.altKey) {
    e.preventDefault();
    $("search").focus();
    $("search").select();
  } else if (e.key === "Escape" && document.activeElement === $("search")) {
    $("search").value = "";
    find();
    $("search").blur();
  }
});

// The stream of events comes again by itself, with all points, when the service
// was away.
const events = new EventSource("/events");
events.addEventListener("points", (e) => {
  points = JSON.parse(e.data);
  show(points);
});
events.addEventListener("snapshot", (e) => {
  const s = JSON.parse(e.data);
  document.body.classList.remove("stale");
  if (!s.processes) return; // before the first second
  if (!points.length || s.point.t > points[points.length - 1].t) points.push(s.point);
  if (points.length > kept) points.splice(0, points.length - kept);
  show(points);
  figures(s.point);
  conservation(s.conservation);
  hottest(s.hottest);
  processes(s.processes);
  state(s);
  if ($("search").value !== "") find();
});
events.addEventListener("error", () => {
  document.body.classList.add("stale");
  setRates({});
  $("state").className = "pill bad";
  $("state").textContent = "the service is away, trying again";
  if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 3000); // it answered, and not with events
});
