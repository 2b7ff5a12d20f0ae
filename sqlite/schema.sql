-- What the whole service is about. Anyone may read it at any time.
CREATE TABLE numbers (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- What has been folded into numbers, per process that made batches and
-- partition: all seqs up to the watermark, and those listed above it ("5-7,9").
-- Written in the transaction of the numbers it accounts for: the sum over all
-- rows is that over numbers and quarantine, modulo 2^64.
CREATE TABLE ledger (
    producer    TEXT    NOT NULL,
    "partition" INTEGER NOT NULL,
    watermark   INTEGER NOT NULL,
    above       TEXT    NOT NULL,
    batches     INTEGER NOT NULL,
    increments  INTEGER NOT NULL, -- modulo 2^64, as is
    sum         INTEGER NOT NULL, -- by how much they changed the totals
    skipped     INTEGER NOT NULL, -- of the increments, those that count nothing: their token had been counted, or their batch is in rejected
    PRIMARY KEY (producer, "partition")
) STRICT, WITHOUT ROWID;

-- Deltas that would have taken their key's value out of int64. A key's true
-- total is its value plus its rows here; as soon as that fits, it is the value.
CREATE TABLE quarantine (
    id    INTEGER PRIMARY KEY,
    key   TEXT    NOT NULL,
    value INTEGER NOT NULL,
    at    TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ'))
) STRICT;
CREATE INDEX quarantine_key ON quarantine (key);

-- Messages in the stream that were no batches, or batches with keys that are another
-- database's, which the ledger has as skipped; kept for a human, once each.
CREATE TABLE rejected (
    id          INTEGER PRIMARY KEY,
    "partition" INTEGER NOT NULL,
    stream_seq  INTEGER NOT NULL,
    stored_us   INTEGER NOT NULL, -- Unix time
    reason      TEXT    NOT NULL,
    data        BLOB    NOT NULL,
    at          TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    UNIQUE (stream_seq, stored_us, "partition")
) STRICT;

-- Idempotency-Keys that have been counted in a partition, as the first 16 bytes
-- of their SHA-256, and a digest of what they stand for.
CREATE TABLE tokens (
    token       BLOB    NOT NULL,
    "partition" INTEGER NOT NULL,
    payload     INTEGER NOT NULL,
    expires_us  INTEGER NOT NULL, -- Unix time
    PRIMARY KEY (token, "partition")
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_expiry ON tokens ("partition", expires_us);

-- Where the writer stands in the stream, to notice that it was rolled back or
-- made anew.
CREATE TABLE positions (
    "partition" INTEGER PRIMARY KEY,
    created_us  INTEGER NOT NULL, -- when the stream was created, Unix time
    stream_seq  INTEGER NOT NULL
) STRICT;

-- Raised by every writer that opens the database, checked in every one of its
-- transactions: a writer that has been superseded can no longer commit.
CREATE TABLE fence (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL
) STRICT;
INSERT INTO fence VALUES (1, 0);

-- Which database this is, wherever its file goes. The stream's consumers name
-- the database that a partition belongs to. A copy has the same id. And how many
-- partitions the stream had when it was last opened, 0 before the first time.
CREATE TABLE identity (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    id         TEXT    NOT NULL,
    partitions INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO identity (one, id) VALUES (1, lower(hex(randomblob(8))));
