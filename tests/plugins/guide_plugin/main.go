package main

import (
	"github.com/hashicorp/go-plugin"
	kilometers "your-org/my-plugin/plugin"
)

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "KILOMETERS_PLUGIN",
			MagicCookieValue: "kilometers-cli-plugin",
		},
		Plugins: map[string]plugin.Plugin{
			"kilometers": &kilometers.KilometersGRPCPlugin{Impl: &kilometers.MyPlugin{}},
		},
		GRPCServer: plugin.DefaultGRPCServer,
	})
}
