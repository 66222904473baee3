// Command tool-stats is a Kilometers plugin: how long each tool takes, and how often it fails.
package main

import (
	_ "embed"

	kilometers "github.com/kilometers-ai/kilometers-plugin-sdk-go"
	"github.com/kilometers-ai/kilometers-plugins/tool-stats/stats"
)

//go:embed manifest.json
var manifest []byte

func main() {
	kilometers.Serve(stats.New(), kilometers.WithManifest(manifest))
}
