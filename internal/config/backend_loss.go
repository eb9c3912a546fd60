package config

// BackendLoss is what becomes of the sessions of a backend that is gone.
type BackendLoss string

// What may become of them.
const (
	// LossKeep leaves them with their backend, which may come back.
	LossKeep BackendLoss = "keep"
	// LossMove takes them to another backend: TCP by a reset, UDP at once.
	LossMove BackendLoss = "move"
)
