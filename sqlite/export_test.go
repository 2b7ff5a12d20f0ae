package sqlite

import "context"

// Chunk is how many rows one upsert statement carries.
const Chunk = chunk

// WALBytes is how much the WAL may hold before it is moved.
const WALBytes = walBytes

// AwaitCheckpoint returns when no checkpoint is running.
func (s *Store) AwaitCheckpoint() { s.wal.wait() }

// Int asks the connection that writes for a number.
func (s *Store) Int(ctx context.Context, query string) (n int, err error) {
	err = s.conn.QueryRowContext(ctx, query).Scan(&n)
	return n, err
}

// ExpireChunk is how many expired tokens a transaction removes at most.
const ExpireChunk = expireChunk
