// The pipes between the stages: what flows in one runs along it, as many as
// pass a second, on a scale that leaves 1 and 100,000 apart.

const pipes = new Map();
const still = matchMedia("(prefers-reduced-motion: reduce)");

for (const canvas of document.querySelectorAll(".pipe")) {
  pipes.set(canvas.dataset.pipe, { canvas, rate: 0, drops: [], due: 0 });
}

export function setRates(rates) {
  for (const [name, pipe] of pipes) pipe.rate = rates[name] || 0;
}

// perSecond is how many drops stand for a rate.
function perSecond(rate) {
  if (rate <= 0) return 0;
  return rate < 3 ? rate : 3 + 4.2 * Math.log(rate / 3);
}

let last = performance.now();

function frame(now) {
  const passed = Math.min((now - last) / 1000, 0.1);
  last = now;
  const accent = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
  const line = getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
  for (const [name, pipe] of pipes) draw(name, pipe, passed, accent, line);
  requestAnimationFrame(frame);
}

function draw(name, pipe, passed, accent, line) {
  const { canvas, drops } = pipe;
  const w = canvas.clientWidth, h = canvas.clientHeight;
  if (!w) return;
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(w * scale)) { canvas.width = Math.round(w * scale); canvas.height = Math.round(h * scale); }
  const g = canvas.getContext("2d");
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, w, h);
  g.strokeStyle = line;
  g.lineWidth = 2;
  g.beginPath(); g.moveTo(0, h / 2); g.lineTo(w, h / 2); g.stroke();
  // What is one increment is small and anywhere in the pipe; a batch is larger
  // and in its middle.
  const small = name === "accepted" || name === "rows";
  pipe.due += perSecond(pipe.rate) * passed;
  while (pipe.due >= 1) {
    pipe.due--;
    drops.push({ x: -Math.random() * 6, y: h / 2 + (small ? (Math.random() - 0.5) * h * 0.6 : (Math.random() - 0.5) * 4) });
  }
  g.fillStyle = accent;
  for (const d of drops) {
    d.x += 70 * passed;
    g.globalAlpha = Math.max(0, Math.min(1, Math.min(d.x, w - d.x) / 8));
    g.beginPath();
    if (small) g.arc(d.x, d.y, 2, 0, 7);
    else g.roundRect(d.x - 4, d.y - 4, 8, 8, 2.5);
    g.fill();
  }
  g.globalAlpha = 1;
  pipe.drops = drops.filter((d) => d.x < w);
}

if (!still.matches) requestAnimationFrame(frame);
