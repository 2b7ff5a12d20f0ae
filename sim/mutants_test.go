package sim_test

import (
	"testing"

	"github.com/piccolo-counter/piccolo/actors/ingress"
	"github.com/piccolo-counter/piccolo/actors/writer"
)

// mutant is something broken on purpose between the service and the world, to
// see that the world notices. What is nil is as it should be. The service itself
// is broken on purpose by faults/mutants.
type mutant struct {
	name   string
	within int // seeds, in which the world notices

	stream    func(streamClient) writer.Stream
	store     func(*store) writer.Store
	publisher func(publisher) ingress.Publisher
	counter   counter
	orderer   orderer
	replacer  replacer
	asker     asker
	observer  func(*folder) writer.Observer
	spool     func(*slot) // what happens to it between two processes
}

// sane fills in what is as it should be.
func (m mutant) sane() mutant {
	if m.stream == nil {
		m.stream = func(s streamClient) writer.Stream { return s }
	}
	if m.store == nil {
		m.store = func(s *store) writer.Store { return s }
	}
	if m.publisher == nil {
		m.publisher = func(p publisher) ingress.Publisher { return p }
	}
	if m.counter == nil {
		m.counter = count
	}
	if m.orderer == nil {
		m.orderer = takeOrder
	}
	if m.replacer == nil {
		m.replacer = replaceKey
	}
	if m.asker == nil {
		m.asker = ask
	}
	if m.observer == nil {
		m.observer = func(f *folder) writer.Observer { return f }
	}
	if m.spool == nil {
		m.spool = func(*slot) {}
	}
	return m
}

var mutants = []mutant{
	{name: "acks on delivery", within: 10, stream: acksOnDelivery},
	{name: "announces on delivery", within: 10, stream: announcesOnDelivery},
	{name: "skips what is not above the last", within: 30, stream: skipsWhatIsBelow},
	{name: "trims to the end", within: 10, stream: trimsToTheEnd},
	{name: "sees no end of the stream", within: 200, stream: seesNoEnd},
	{name: "sees no other stream", within: 200, stream: seesNoOtherStream},
	{name: "sees nothing in the stream", within: 1500, stream: seesNothing},
	{name: "does not read again", within: 200, stream: doesNotReadAgain},
	{name: "gives totals that never were", within: 10, stream: givesWrongTotals},

	{name: "delivers in another order", within: 50, stream: deliversInAnotherOrder},

	{name: "forgets tokens", within: 20, store: forgetsTokens},
	{name: "takes every token for new", within: 20, store: takesTokensForNew},
	{name: "mistakes what tokens stand for", within: 400, store: mistakesTokens},
	{name: "has tokens never expire", within: 400, store: hasTokensNeverExpire},
	{name: "commits tokens before", within: 50, store: commitsTokensBefore},
	{name: "adds what sets", within: 10, store: addsWhatSets},
	{name: "takes totals for nothing", within: 20, store: takesTotalsForNothing},
	{name: "forgets the ledger", within: 10, store: forgetsTheLedger},
	{name: "commits the ledger afterwards", within: 10, store: commitsTheLedgerAfterwards},
	{name: "commits the ledger before", within: 10, store: commitsTheLedgerBefore},
	{name: "reads an old ledger", within: 50, store: readsAnOldLedger},
	{name: "reads a ledger without gaps", within: 50, store: readsALedgerWithoutGaps},
	{name: "counts in floating point", within: 10, store: countsInFloatingPoint},
	{name: "saturates", within: 10, store: saturates},
	{name: "takes what is unknown for nothing", within: 30, store: takesUnknownForNothing},
	{name: "lets the superseded commit", within: 100, store: letsTheSupersededCommit},

	{name: "lets increments join a sealed batch", within: 30, publisher: letsIncrementsJoin},
	{name: "publishes again under another id", within: 30, publisher: publishesUnderAnotherID},
	{name: "takes a timeout for an acknowledgement", within: 30, publisher: takesTimeoutForAck},
	{name: "takes a refusal for an acknowledgement", within: 30, publisher: takesRefusalForAck},
	{name: "publishes twice at once", within: 10, publisher: publishesTwiceAtOnce},
	{name: "loses a batch in ten", within: 10, publisher: losesSome},

	{name: "refuses what it counted", within: 10, counter: refusesWhatItCounted},
	{name: "counts twice", within: 10, counter: countsTwice},
	{name: "replies at once", within: 10, counter: repliesAtOnce},
	{name: "takes each try for another request", within: 10, orderer: takesTriesForRequests},
	{name: "says at once that a request is stored", within: 10, orderer: saysAtOnce},
	{name: "says nothing of other requests under a key", within: 1000, orderer: saysNothingOfConflicts},
	{name: "adds what is to be set", within: 10, replacer: addsWhatIsSet},
	{name: "keeps what is to be removed", within: 20, replacer: keepsWhatIsRemoved},
	{name: "answers without waiting", within: 50, asker: answersWithoutWaiting},
	{name: "says nothing of losses", within: 200, observer: saysNothingOfLosses},
	{name: "says nothing of reading again", within: 200, observer: saysNothingOfReadingAgain},
	{name: "empties the spool", within: 100, spool: emptiesTheSpool},
}

// TestMutants sees that the world notices each of them.
func TestMutants(t *testing.T) {
	oneProcessor(t)
	dir := tempDir(t)
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			for n := range m.within {
				if err := tryOne(t, *first+uint64(n), m, nil, dir); err != nil {
					t.Logf("noticed after %d seeds: %v", n+1, err)
					return
				}
			}
			t.Errorf("not noticed in %d seeds", m.within)
		})
	}
}
