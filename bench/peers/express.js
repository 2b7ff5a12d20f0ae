// Sums in memory, and nowhere else.
const express = require('express');
const app = express();
const numbers = new Map();
app.post('/increment', express.urlencoded({ extended: false }), (req, res) => {
  const value = parseInt(req.body.value, 10);
  if (!req.body.key || Number.isNaN(value)) return res.status(400).end();
  numbers.set(req.body.key, (numbers.get(req.body.key) || 0) + value);
  res.json({ ok: true });
});
app.listen(Number(process.argv[2]), '127.0.0.1');
