"""The ancestor's web process: sums a second's increments in memory, and pushes the sums to Redis lists."""
import sys
from collections import Counter

from gevent import monkey
monkey.patch_all()

import falcon
import gevent
import redis
from gevent.pywsgi import WSGIServer

deltas = Counter()


class Increment:
    def on_post(self, req, resp):
        form = req.get_media()
        deltas[form['key']] += int(form['value'])
        resp.text = '{"ok": true}'


def flush(store):
    global deltas
    while True:
        gevent.sleep(1)
        full, deltas = deltas, Counter()
        pipe = store.pipeline(transaction=False)
        for key, value in full.items():
            pipe.rpush('deltas', f'{key} {value}')
        pipe.execute()


app = falcon.App()
app.add_route('/increment', Increment())
gevent.spawn(flush, redis.Redis(port=int(sys.argv[2])))
WSGIServer(('127.0.0.1', int(sys.argv[1])), app, log=None).serve_forever()
