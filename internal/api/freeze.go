package api

import "time"

// Freeze is a freeze window of the configuration, in which a service is not
// changed. Until is when changes may happen again: windows that touch are one.
type Freeze struct {
	Reason string    `json:"reason"`
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
}
