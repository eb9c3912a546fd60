package occupancy

import (
	"net/http"
	"time"
)

// Client is what backends are asked with. It goes through no proxy, and keeps a connection to each for a while.
func Client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			MaxIdleConns: atOnce, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute,
			MaxResponseHeaderBytes: 16 << 10, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
