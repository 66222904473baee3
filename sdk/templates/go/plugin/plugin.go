// Package plugin is what my-plugin does: it logs each tool call that took longer than the setting `slow_ms`.
package plugin

import (
	"context"
	"log"

	kilometers "github.com/kilometers-ai/kilometers-plugin-sdk-go"
)

// MyPlugin is handed every event, one at a time.
type MyPlugin struct {
	Slow     int // slow calls so far
	config   kilometers.PluginConfig
	settings settings
}

type settings struct {
	SlowMS float64 `json:"slow_ms"`
}

// Initialize keeps the configuration. Its token was checked already, and its features are those the token grants.
func (p *MyPlugin) Initialize(_ context.Context, config kilometers.PluginConfig) error {
	return p.UpdateConfig(context.Background(), config)
}

// UpdateConfig takes a renewed token, or changed features or settings, in mid-session.
func (p *MyPlugin) UpdateConfig(_ context.Context, config kilometers.PluginConfig) error {
	p.config, p.settings = config, settings{SlowMS: 1000}
	return config.DecodeSettings(&p.settings)
}

// HandleStreamEvent is called for each message. What is logged here ends up in the plugin's log.
func (p *MyPlugin) HandleStreamEvent(_ context.Context, event kilometers.StreamEvent) error {
	if p.config.HasFeature("console_logging") && event.Tool != "" && event.HasDuration && event.DurationMS > p.settings.SlowMS {
		p.Slow++
		log.Printf("%s took %.0f ms", event.Tool, event.DurationMS)
	}
	return nil
}

// Shutdown has about two seconds.
func (p *MyPlugin) Shutdown(context.Context) error {
	log.Printf("%d slow calls", p.Slow)
	return nil
}
