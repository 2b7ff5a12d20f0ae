package sim_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/piccolo-counter/piccolo"
)

// profile is what a world is like. Each seed has some of the faults, and none
// of the others, so that they meet in every combination.
type profile struct {
	steps         int
	partitions    int
	slots         int
	keys          []string
	burst         int
	maxKeys       int
	maxMessage    int
	room          int // messages that the stream takes
	flushInterval time.Duration
	ackTimeout    time.Duration
	drainTimeout  time.Duration
	freshness     time.Duration
	retain        time.Duration
	tokenTTL      time.Duration
	mistakes      float64 // other increments under a key that was used

	ordered        bool // the bus keeps the order that it promises; sums must not need it
	provisions     bool // the writer makes a stream that is gone
	stuckConsumers bool // one beyond the end of its stream stays there, as older servers have it

	// The probabilities of faults.
	slowPace         float64 // that more than a moment passes
	dropRequest      float64
	duplicateRequest float64
	refuse           float64
	dropPubAck       float64
	delayPubAck      float64
	dropDelivery     float64
	dropAck          float64
	dropNotice       float64
	slowCalls        float64
	failCalls        float64
	failReset        float64
	promptCommits    float64
	commitFails      float64
	commitKills      float64

	actions []action
	weights int
}

// action is something that may happen next, and how often it does.
type action struct {
	name   string
	weight int
	do     func(*world) bool // false: there is nothing to do it to
}

const keyBytes = 8

// lasting is for how long a token is known where that is longer than the world
// lasts.
const lasting = 24 * time.Hour

func newProfile(rng *rand.Rand) profile {
	some := func(p, rate float64) float64 {
		if rng.Float64() < p {
			return rate * rng.Float64()
		}
		return 0
	}
	among := func(of ...time.Duration) time.Duration { return of[rng.IntN(len(of))] }
	p := profile{
		tokenTTL:         among(time.Minute, lasting),
		mistakes:         some(0.5, 0.6),
		ordered:          rng.IntN(4) > 0,
		steps:            100 + rng.IntN(400),
		partitions:       1 + rng.IntN(3),
		slots:            1 + rng.IntN(3),
		burst:            1 + rng.IntN(4),
		maxMessage:       piccolo.MaxHeaderSize + (1+rng.IntN(6))*piccolo.MaxDeltaSize(keyBytes),
		room:             1 + rng.IntN(100),
		flushInterval:    among(time.Millisecond, 20*time.Millisecond, time.Second),
		ackTimeout:       among(100*time.Millisecond, 5*time.Second),
		drainTimeout:     among(100*time.Millisecond, 3*time.Second),
		freshness:        among(0, 35*time.Millisecond, 500*time.Millisecond),
		retain:           among(0, 0, 3*time.Second, time.Minute),
		provisions:       rng.IntN(2) == 0,
		stuckConsumers:   rng.IntN(2) == 0,
		slowPace:         0.05 + 0.4*rng.Float64(),
		dropRequest:      some(0.4, 0.3),
		duplicateRequest: some(0.3, 0.3),
		refuse:           some(0.2, 0.3),
		dropPubAck:       some(0.4, 0.3),
		delayPubAck:      some(0.4, 0.5),
		dropDelivery:     some(0.3, 0.2),
		dropAck:          some(0.4, 0.5),
		dropNotice:       some(0.3, 0.5),
		slowCalls:        some(0.3, 0.5),
		failCalls:        some(0.3, 0.2),
		failReset:        some(0.3, 1),
		promptCommits:    1 - some(0.7, 1),
		commitFails:      some(0.4, 0.3),
		commitKills:      some(0.3, 0.1),
	}
	for n := range 2 + rng.IntN(6) {
		p.keys = append(p.keys, fmt.Sprintf("key%d", n))
	}
	p.maxKeys = 1 + rng.IntN(2*len(p.keys))
	p.actions = newActions(rng)
	for _, a := range p.actions {
		p.weights += a.weight
		// What is folded long after its time finds that its token has been
		// removed, as one that has expired. That takes another order.
		if !p.ordered || slices.Contains([]string{"roll back", "delete the stream", "restore"}, a.name) {
			p.tokenTTL = lasting
		}
	}
	return p
}

func newActions(rng *rand.Rand) (actions []action) {
	often := func(name string, weight int, do func(*world) bool) {
		actions = append(actions, action{name, weight, do})
	}
	seldom := func(p float64, name string, weight int, do func(*world) bool) {
		if rng.Float64() < p {
			often(name, 1+rng.IntN(weight), do)
		}
	}
	often("count", 10+rng.IntN(200), (*world).count)
	often("arrive", 50+rng.IntN(200), (*world).arriveOne)
	often("pubAck", 50, (*world).pubAckOne)
	often("deliver", 50+rng.IntN(200), (*world).deliverOne)
	often("answer", 20+rng.IntN(200), (*world).answerOne)
	often("ack", 20+rng.IntN(100), (*world).ackOne)
	often("notice", 30, (*world).noticeOne)
	often("query", 10, (*world).query)
	often("start ingress", 40, (*world).startIngress)
	often("start writer", 40, (*world).startWriterIfNone)
	often("come back", 30, (*world).comeBack)
	often("make room", 30, (*world).makeRoom)
	often("make the stream", 20, (*world).remake)

	if rng.IntN(2) == 0 {
		often("order", 5+rng.IntN(60), (*world).orderOne)
		often("order again", 5+rng.IntN(100), (*world).orderAgain)
	}
	if rng.IntN(2) == 0 {
		often("replace", 5+rng.IntN(60), (*world).replaceOne)
	}
	seldom(0.5, "kill ingress", 8, (*world).killIngress)
	seldom(0.5, "stop ingress", 8, (*world).stopIngress)
	seldom(0.5, "kill writer", 8, (*world).killWriter)
	seldom(0.4, "light a fuse", 8, (*world).lightFuse)
	seldom(0.4, "stop writer", 8, (*world).stopWriter)
	seldom(0.2, "supersede", 6, (*world).supersede)
	seldom(0.4, "go away", 5, (*world).goAway)
	seldom(0.3, "fill", 5, (*world).fill)
	seldom(0.4, "redeliver", 8, (*world).redeliver)
	seldom(0.3, "publish by hand", 20, (*world).byHand)
	seldom(0.3, "forget ids", 8, (*world).forget)
	if rng.IntN(2) == 0 {
		often("remember", 10, (*world).remember)
		seldom(0.8, "crash", 8, (*world).crash)
		seldom(0.3, "roll back", 5, (*world).rollBack)
	}
	seldom(0.2, "delete the stream", 3, (*world).remove)
	if rng.IntN(6) == 0 {
		often("back up", 10, (*world).backUp)
		often("restore", 3, (*world).restore)
	}
	return actions
}

// String says what the world is like.
func (p profile) String() string {
	var names []string
	for _, a := range p.actions {
		names = append(names, a.name)
	}
	p.actions = nil
	type plain profile
	return fmt.Sprintf("%+v %q", plain(p), names)
}

// act does one of the actions.
func (w *world) act() {
	for range 4 {
		n := w.rng.IntN(w.weights)
		for _, a := range w.actions {
			if n -= a.weight; n < 0 {
				if a.do(w) {
					return
				}
				break
			}
		}
	}
}

// pause is how long nothing happens before the next action.
func (w *world) pause() time.Duration {
	if !w.chance(w.slowPace) {
		return 0
	}
	switch n := w.rng.IntN(40); {
	case n == 0:
		return time.Duration(w.rng.IntN(60)) * time.Second
	case n < 4:
		return time.Duration(w.rng.IntN(3000)) * time.Millisecond
	case n < 16:
		return time.Duration(w.rng.IntN(60)) * time.Millisecond
	}
	return time.Duration(w.rng.IntN(6)) * time.Millisecond
}
