package config

// MSS is what becomes of the maximum segment size that a SYN announces.
type MSS string

// What may become of it.
const (
	// MSSKeep leaves it as the client wrote it.
	MSSKeep MSS = "keep"
	// MSSAuto lowers it to what the way to the backend has room for.
	MSSAuto MSS = "auto"
)
