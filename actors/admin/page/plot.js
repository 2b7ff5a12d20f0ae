// A plot over time on a canvas. All plots share one crosshair, which the mouse
// and, on a plot that has the focus, the arrow keys move.

const plots = [];
let cursor = null; // time under the crosshair, in ms
let end = 0; // of what is shown
let span = 180;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function setSpan(seconds) { span = seconds; drawAll(); }

export function drawAll() { for (const p of plots) p.draw(); }

// show draws points, which are objects with a time t and come in its order.
export function show(points) {
  end = points.length ? points[points.length - 1].t : Date.now();
  for (const p of plots) p.points = points;
  drawAll();
}

// Plot draws series, each {name, colour, read, format}, on top of one another
// where stacked is set, on a logarithmic scale where log is.
export class Plot {
  constructor(parent, { title, series, stacked = false, log = false }) {
    Object.assign(this, { title, series, stacked, log, points: [] });
    const figure = document.createElement("figure");
    figure.className = "plot";
    const caption = document.createElement("figcaption");
    const strong = document.createElement("strong");
    strong.textContent = title;
    caption.append(strong);
    for (const s of series) {
      const key = document.createElement("span");
      key.className = "key " + s.colour;
      key.append(s.name + " ");
      s.value = document.createElement("b");
      key.append(s.value);
      caption.append(key);
    }
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    figure.append(caption, this.canvas);
    parent.append(figure);
    this.canvas.addEventListener("pointermove", (e) => {
      const box = this.canvas.getBoundingClientRect();
      cursor = end - span * 1000 * (1 - (e.clientX - box.left) / box.width);
      drawAll();
    });
    this.canvas.addEventListener("pointerleave", () => { cursor = null; drawAll(); });
    this.canvas.addEventListener("blur", () => { cursor = null; drawAll(); });
    this.canvas.addEventListener("keydown", (e) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
      if (e.key === "Escape") cursor = null;
      else if (step) cursor = Math.min(end, Math.max(end - span * 1000, (cursor ?? end) + step * 1000 * (e.shiftKey ? 10 : 1)));
      else return;
      e.preventDefault();
      drawAll();
    });
    plots.push(this);
  }

  // under returns the point nearest to the crosshair, or the last.
  under(points) {
    if (cursor === null) return points[points.length - 1];
    let best;
    for (const p of points) if (!best || Math.abs(p.t - cursor) < Math.abs(best.t - cursor)) best = p;
    return best;
  }

  draw() {
    const { canvas } = this;
    const scale = window.devicePixelRatio || 1;
    const w = canvas.clientWidth, h = canvas.clientHeight;
    if (!w || !h) return;
    if (canvas.width !== Math.round(w * scale) || canvas.height !== Math.round(h * scale)) {
      canvas.width = Math.round(w * scale);
      canvas.height = Math.round(h * scale);
    }
    const g = canvas.getContext("2d");
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, w, h);
    const from = end - span * 1000;
    const points = this.points.filter((p) => p.t >= from - 2000);
    const current = this.under(points);
    const labels = [];
    for (const s of this.series) {
      const text = current ? s.format(s.read(current)) : "–";
      s.value.textContent = text;
      labels.push(s.name + " " + text);
    }
    canvas.setAttribute("aria-label", this.title + ": " + labels.join(", "));

    const top = 6, bottom = h - 15;
    let max = 0;
    for (const p of points) {
      let sum = 0;
      for (const s of this.series) {
        const v = s.read(p) || 0;
        sum = this.stacked ? sum + v : Math.max(sum, v);
      }
      max = Math.max(max, sum);
    }
    const floor = this.log ? 1 : 0;
    const ceiling = niceAbove(max, this.log);
    const x = (t) => ((t - from) / (end - from)) * w;
    const y = (v) => {
      const part = this.log ? Math.log(Math.max(v, floor)) / Math.log(ceiling) : v / ceiling;
      return bottom - Math.min(part, 1) * (bottom - top);
    };

    g.font = "10.5px system-ui, 'DejaVu Sans', sans-serif";
    g.fillStyle = css("--faint");
    g.strokeStyle = css("--line");
    g.lineWidth = 1;
    const grid = ticks(ceiling, this.log).map((v) => ({ v, at: Math.round(y(v)) + 0.5 }));
    for (const { at } of grid) { g.beginPath(); g.moveTo(0, at); g.lineTo(w, at); g.stroke(); }
    g.textAlign = "right";
    g.fillText("now", w, h - 3);
    g.textAlign = "left";
    g.fillText("−" + (span >= 120 ? span / 60 + " min" : span + " s"), 0, h - 3);

    const base = new Float64Array(points.length);
    this.series.forEach((s, i) => {
      const colour = css("--" + s.colour);
      g.strokeStyle = colour;
      g.lineWidth = 1.6;
      g.lineJoin = "round";
      let run = [];
      const finish = () => {
        if (run.length) {
          g.beginPath();
          run.forEach(([px, py], j) => (j ? g.lineTo(px, py) : g.moveTo(px, py)));
          if (run.length === 1) g.arc(run[0][0], run[0][1], 0.8, 0, 7);
          g.stroke();
          if (this.stacked || i === this.series.length - 1) {
            for (let j = run.length - 1; j >= 0; j--) g.lineTo(run[j][0], run[j][2]);
            g.closePath();
            g.globalAlpha = parseFloat(css("--fill"));
            g.fillStyle = colour;
            g.fill();
            g.globalAlpha = 1;
          }
        }
        run = [];
      };
      points.forEach((p, j) => {
        const v = s.read(p);
        if (v === null || v === undefined || (this.stacked && !v) || (j && p.t - points[j - 1].t > 5000)) finish();
        if (v === null || v === undefined || (this.stacked && !v)) return; // nothing on top of the others
        const low = this.stacked ? base[j] : 0;
        run.push([x(p.t), y(low + v), y(this.stacked ? low : floor)]);
        if (this.stacked) base[j] += v;
      });
      finish();
    });
    // What the lines are worth, readable on top of them.
    g.textAlign = "left";
    g.fillStyle = css("--faint");
    g.strokeStyle = css("--card");
    g.lineWidth = 4;
    for (const { v, at } of grid) {
      const text = this.series[0].format(v), below = at < 16 ? at + 11 : at - 3;
      g.strokeText(text, 0, below);
      g.fillText(text, 0, below);
    }
    if (cursor !== null && current) {
      const at = Math.round(x(current.t)) + 0.5;
      g.strokeStyle = css("--soft");
      g.lineWidth = 1;
      g.beginPath(); g.moveTo(at, top); g.lineTo(at, bottom); g.stroke();
      g.fillStyle = css("--soft");
      g.textAlign = at > w - 60 ? "right" : "left";
      g.fillText(new Date(current.t).toLocaleTimeString(), at + (at > w - 60 ? -4 : 4), h - 3);
    }
  }
}

function niceAbove(max, log) {
  if (log) return Math.max(10, Math.pow(10, Math.ceil(Math.log10(Math.max(max, 1.01)))));
  if (!(max > 0)) return 1;
  const size = Math.pow(10, Math.floor(Math.log10(max)));
  for (const m of [1, 1.5, 2, 3, 4, 5, 6, 8, 10]) if (m * size >= max * 1.05) return m * size;
  return 15 * size;
}

function ticks(ceiling, log) {
  if (!log) return [ceiling / 2, ceiling];
  const all = [];
  for (let v = 10; v <= ceiling; v *= 10) all.push(v);
  return all.length > 3 ? all.filter((_, i) => (all.length - 1 - i) % 2 === 0) : all;
}

addEventListener("resize", drawAll);
