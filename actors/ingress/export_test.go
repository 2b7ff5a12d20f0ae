package ingress

// Waiters is how many replies wait for the batch that is open.
func (in *Ingress) Waiters() int { return int(in.reducers[0].tail.Load().waiters.Load()) }
