package bus

// Reconnect loses the connection and has it made again.
func (b *Bus) Reconnect() error { return b.nc.ForceReconnect() }
