package kilometers

import (
	"os"

	"github.com/hashicorp/go-plugin"
)

// Option changes how Serve serves.
type Option func(*KilometersGRPCPlugin)

// WithManifest gives the plugin its own manifest.json, for its name, version and required features:
//
//	//go:embed manifest.json
//	var manifest []byte
func WithManifest(manifest []byte) Option {
	return func(p *KilometersGRPCPlugin) { p.Manifest = manifest }
}

// Serve runs impl until the host ends it. Run by hand, it says what the program is and exits.
func Serve(impl KilometersPlugin, options ...Option) {
	served := &KilometersGRPCPlugin{Impl: impl}
	for _, option := range options {
		option(served)
	}
	if _, err := parseManifest(served.Manifest); err != nil {
		_, _ = os.Stderr.WriteString("[ERROR] " + err.Error() + "\n") // nothing is left to tell a failure to
		os.Exit(1)
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: Handshake,
		Plugins:         map[string]plugin.Plugin{PluginName: served},
		GRPCServer:      plugin.DefaultGRPCServer,
	})
}
