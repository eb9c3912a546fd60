package config

// Strategy is how the releases of a service deal with sessions.
type Strategy string

// The strategies.
const (
	Session Strategy = "session" // sessions in progress stay until they end
	Instant Strategy = "instant" // they are moved at once
	Canary  Strategy = "canary"  // as session, after steps with a share of the clients
	Rolling Strategy = "rolling" // backend by backend
	InPlace Strategy = "in-place"
)

// Strategies are all of them.
func Strategies() []Strategy { return []Strategy{Session, Instant, Canary, Rolling, InPlace} }
