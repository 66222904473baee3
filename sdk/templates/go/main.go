package main

import (
	_ "embed"

	"example.com/my-plugin/plugin"
	kilometers "github.com/kilometers-ai/kilometers-plugin-sdk-go"
)

//go:embed manifest.json
var manifest []byte

func main() {
	kilometers.Serve(&plugin.MyPlugin{}, kilometers.WithManifest(manifest))
}
