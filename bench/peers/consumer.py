"""The ancestor's consumer: pops deltas from a Redis list and adds them in SQLite."""
import sqlite3
import sys
import time

import redis

store = redis.Redis(port=int(sys.argv[1]))
db = sqlite3.connect(sys.argv[2])
db.execute('CREATE TABLE IF NOT EXISTS numbers (key TEXT, value INTEGER DEFAULT 0)')
db.execute('CREATE UNIQUE INDEX IF NOT EXISTS numbers_key ON numbers (key)')
while True:
    popped = store.lpop('deltas', 1000)
    if not popped:
        time.sleep(0.1)
        continue
    with db:
        for line in popped:
            key, value = line.decode().rsplit(' ', 1)
            db.execute('INSERT INTO numbers VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = value + excluded.value', (key, int(value)))
