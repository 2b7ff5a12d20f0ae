package faults_test

// lock takes the database's write lock, as any other program may, and so holds
// the writer up.
func (s *service) lock() (unlock func()) {
	s.t.Helper()
	db := openDatabase(s.t, s.database, "_txlock=immediate&_pragma=busy_timeout(10000)")
	tx, err := db.Begin()
	if err != nil {
		s.t.Fatalf("lock the database: %v", err)
	}
	return func() {
		if err := tx.Rollback(); err != nil {
			s.t.Errorf("unlock the database: %v", err)
		}
		if err := db.Close(); err != nil {
			s.t.Errorf("unlock the database: %v", err)
		}
	}
}
