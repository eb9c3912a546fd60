package config

// XDPMode is how the program is attached to an interface.
type XDPMode string

// The ways to attach.
const (
	// XDPNative runs in the driver; a driver without XDP is an error.
	XDPNative XDPMode = "native"
	// XDPGeneric runs behind the driver, on any interface and slowly.
	XDPGeneric XDPMode = "generic"
)
