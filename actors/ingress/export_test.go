package ingress

// Waiters is how many replies wait for the batch that is open.
func (in *Ingress) Waiters() int { return int(in.reducers[0].tail.Load().waiters.Load()) }

// EndWaits has the ack timeout of all replies be over now.
func (in *Ingress) EndWaits() { in.patience.end() }
