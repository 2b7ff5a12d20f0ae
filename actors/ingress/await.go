package ingress

import "github.com/piccolo-counter/piccolo"

// await waits for as much as ack asks and returns what holds: less, when the
// ack timeout passes or the process has to stop first. The increments count all
// the same.
func (in *Ingress) await(ack piccolo.Ack, batches ...*pending) piccolo.Ack {
	if ack == piccolo.AckMemory {
		return ack
	}
	for _, p := range batches {
		p.wait()
	}
	patience := in.patience.ends()
	for _, p := range batches {
		select {
		case <-p.outcome(ack):
		case <-patience:
			return holds(batches)
		}
	}
	return ack
}

// outcome is closed when ack holds for what p carries.
func (p *pending) outcome(ack piccolo.Ack) <-chan struct{} {
	if ack == piccolo.AckApplied {
		return p.applied
	}
	return p.stored
}

// holds is what is known of all batches once nobody waits for their commit.
func holds(batches []*pending) piccolo.Ack {
	for _, p := range batches {
		select {
		case <-p.stored:
		default:
			return piccolo.AckMemory
		}
	}
	return piccolo.AckStored
}
