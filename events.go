package piccolo

import "time"

// Flush tells how a batch went from memory into the stream.
type Flush struct {
	Keys       int
	Increments uint64
	Bytes      int
	Retries    int           // how often it had to be published again
	Took       time.Duration // from sealed to acknowledged
}

// Commit tells how batches went from the stream into the database.
type Commit struct {
	Batches    int
	Duplicates int // of the batches, those that had been folded before
	Increments uint64
	Skipped    uint64 // of the increments, those whose Idempotency-Key had been counted, and of batches that were rejected
	Conflicts  int    // requests skipped because their Idempotency-Key stood for another
	Rows       int
	Quarantine struct{ In, Out int } // deltas
	Rejected   int
	Deltas     []Delta         // as they were folded, one or more a key; valid during the call
	Took       time.Duration   // of the transaction
	Freshness  []time.Duration // of each batch: from its oldest increment accepted to committed
}

// Progress tells how far a loop has come, for whoever watches over it. One that
// has work waiting and stands still is stuck.
type Progress struct {
	Steps      uint64 // pieces of work that are done, or were clearly refused
	Unanswered uint64 // attempts that ended without either, and are made again
	Waiting    bool   // there is work
}
