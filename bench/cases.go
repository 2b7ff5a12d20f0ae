package main

// A benchCase is one of Piccolo's modes under one of the loads.
type benchCase struct {
	name string
	what subject
}

// cases are what a request costs in each mode. The first is 1.0.
func (b *bench) cases() []benchCase {
	full := func(ack string) loader { return singles(b.Connections, b.Keys, keySize, ack) }
	return []benchCase{
		{"no-op", b.noop("fasthttp", full("memory"))},
		{"memory", b.allInOne(full("memory"))},
		{"stored", b.allInOne(full("stored"))},
		{"applied", b.allInOne(full("applied"))},
		{"ingress-memory", b.ingressAlone(full("memory"))},
		{"ingress-stored", b.ingressAlone(full("stored"))},
		{"few-stored", b.allInOne(singles(16, b.Keys, keySize, "stored"))},
		{"light-stored", b.allInOne(trickle(100, b.Keys, "stored"))},
	}
}

// keySize of the loads, in bytes, where it is not what varies.
const keySize = 17
