package main

import "github.com/spf13/cobra"

// serverFlags say which daemon on the network is asked, and as whom. Secrets are in files: what is on a command line, or in
// the environment, is seen by others.
func (c *cli) serverFlags(root *cobra.Command) {
	for _, f := range []struct {
		to               *string
		name, env, usage string
	}{
		{&c.server.URL, "server", "EBBTIDE_SERVER", "a daemon on the network, https://HOST:PORT, instead of the socket"},
		{&c.server.CA, "ca", "EBBTIDE_CA", "who has signed its certificate: a PEM file (default: the host's list)"},
		{&c.server.Cert, "cert", "EBBTIDE_CERT", "your certificate for it: a PEM file"},
		{&c.server.Key, "cert-key", "EBBTIDE_CERT_KEY", "the key of your certificate: a PEM file"},
		{&c.server.TokenFile, "token-file", "EBBTIDE_TOKEN_FILE", "your token for it, instead of a certificate: a file of mode 0600"},
	} {
		root.PersistentFlags().StringVar(f.to, f.name, c.getenv(f.env), f.usage+", also $"+f.env)
	}
}
