// Package sim runs reducer, flusher, stream and fold in one process, over and
// over, on a virtual clock, with everything around them going wrong.
//
// The ingress and the writer are the real ones. The stream and the database are
// simulated, and so are the clients: a seed says what each of them does, and
// when. So whatever a seed finds it finds again.
//
//	clients ──► ingress ──► requests ──► stream ──► deliveries ──► writer ──► database
//	   book ◄── replies ◄── PubAcks ◄──┘    ▲ acks, trims ◄──────────┘  └──► applied
//
// One goroutine, the driver, makes all that happens happen: it answers one call
// of the service, delivers one message, or lets time pass, waits until the
// service has come to rest (testing/synctest), and looks at everything. Two
// moments at which the service would have to choose between things that are
// ready at once, as a select does, are kept apart.
//
// After every step it is held against the clients' book that
//
//   - what is acked, announced or trimmed is committed, and numbers and ledger
//     have changed together;
//   - a batch that comes again, in any order, is counted once;
//   - what came with an Idempotency-Key is counted once, through whichever ingress
//     and however often it was sent, as long as its token lasts, and whoever uses
//     a key for something else is told;
//   - a set overwrites what stands before it in the stream, and nothing else: key
//     by key the database is what a model comes to that does what it was given,
//     in that order; and, at the end, what clients can tell of the order;
//   - a batch has the same bytes under the same id whenever it is published, one
//     at a time, and no increment joins it;
//   - a reply of 2xx is true, and a refusal has a reason and counted nothing;
//   - Σ acknowledged ≤ the database ≤ Σ attempted, key by key, and Σ numbers +
//     Σ quarantine = Σ ledger;
//   - memory is bounded;
//   - nothing is committed after a commit whose outcome is unknown;
//   - a process that stopped left nothing behind that is neither stored nor in
//     its spool;
//
// and once nothing goes wrong any more: all comes to rest, the totals are equal
// to what was counted and not lost, and what the stream lost has been reported.
//
// What is not simulated, and is for the fault suite and the packages' own tests to
// break: files and what a power cut leaves of them, the spool's among them, which is
// written for real and not damaged; SQLite, with its locks, its log and the bounds of
// that; the process around the actors, its listeners, signals and exit code, of which
// only the moment is simulated; NATS's protocol and client; a cluster.
//
//	go test ./sim                       some thousand seeds
//	go test ./sim -seeds 1000000 -timeout 0
//	go test ./sim -run Seeds -seed 17   one seed, with what happened in it
package sim
