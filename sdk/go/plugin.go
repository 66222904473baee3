// Package kilometers is what a Kilometers plugin in Go is written with.
//
//	type SlowTools struct{ config kilometers.PluginConfig }
//
//	func (p *SlowTools) Initialize(ctx context.Context, config kilometers.PluginConfig) error {
//		p.config = config
//		return nil
//	}
//
//	func (p *SlowTools) HandleStreamEvent(ctx context.Context, event kilometers.StreamEvent) error {
//		if event.Tool != "" && event.DurationMS > 1000 {
//			log.Printf("%s took %.0f ms", event.Tool, event.DurationMS)
//		}
//		return nil
//	}
//
//	func (p *SlowTools) Shutdown(ctx context.Context) error { return nil }
//
//	func main() { kilometers.Serve(&SlowTools{}, kilometers.WithManifest(manifest)) }
//
// The transport is HashiCorp's go-plugin. Before Initialize is called the token was checked and PluginConfig.Features
// holds only what it grants. The methods of a plugin are never called two at once; a panic in one becomes an error.
package kilometers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Version of the SDK, as GetInfo reports it.
const Version = "0.1.0"

// KilometersPlugin is the interface of the plugin development guide.
type KilometersPlugin interface {
	// Initialize is called once, before any event. An error keeps the plugin from being used; its text is shown.
	Initialize(ctx context.Context, config PluginConfig) error
	// HandleStreamEvent is called for each event. An error is counted and logged; the stream never notices.
	HandleStreamEvent(ctx context.Context, event StreamEvent) error
	// Shutdown writes out what is held back. There are about two seconds before the process is ended.
	Shutdown(ctx context.Context) error
}

// BatchHandler may also be implemented, by a plugin that works on many events at once.
type BatchHandler interface {
	// HandleStreamEvents takes them in order. An error counts all of them as failed.
	HandleStreamEvents(ctx context.Context, events []StreamEvent) error
}

// ConfigUpdater may also be implemented: the token was renewed, or features or tier changed while the plugin runs.
// A plugin without it is restarted instead.
type ConfigUpdater interface {
	// UpdateConfig takes the new configuration. When what arrived cannot be trusted (a forged token, an expired one with
	// no lease to stand in for it, a required feature that is gone), it has no features and no token.
	UpdateConfig(ctx context.Context, config PluginConfig) error
}

// PluginConfig is the guide's configuration and what the host adds.
type PluginConfig struct {
	// Customer identification
	CustomerID string `json:"customer_id"`

	// Authentication. APIKey is empty unless the manifest asks for it and the operator allows it.
	APIKey      string `json:"api_key"`
	APIEndpoint string `json:"api_endpoint"`
	JWT         string `json:"jwt"`

	// Feature access
	Features []string `json:"features"`
	Tier     string   `json:"tier"`

	// Runtime settings
	Debug    bool   `json:"debug"`
	LogLevel string `json:"log_level"`

	// CustomSettings passed the manifest's schema in the host and have its defaults.
	CustomSettings map[string]any `json:"custom_settings"`

	// TokenKeys is the JWK Set the token and the lease are checked with, as JSON.
	TokenKeys string `json:"token_keys"`
	// Lease stands in for the token while the server cannot be reached; Source says which of them granted Features.
	Lease      string      `json:"lease"`
	Source     GrantSource `json:"-"`
	PluginName string      `json:"plugin_name"`
	// StateDir is the one directory the plugin may write to; it outlives the process.
	StateDir string `json:"state_dir"`
}

// GrantSource is what granted a configuration's features.
type GrantSource string

// By what right a plugin has its features. By SourceLease it has no JWT: nothing can be asked of the API.
const (
	SourceToken GrantSource = "token"
	SourceLease GrantSource = "lease"
	SourceNone  GrantSource = "none" // only the free features
)

// Offline reports whether the lease stands in for a token.
func (c PluginConfig) Offline() bool { return c.Source == SourceLease }

// ErrFeatureNotAvailable is what RequireFeature's errors are.
var ErrFeatureNotAvailable = errors.New("feature not available")

// HasFeature reports whether the plugin may use feature now.
func (c PluginConfig) HasFeature(feature string) bool { return slices.Contains(c.Features, feature) }

// RequireFeature returns an error that names the feature and the tier, unless the plugin has it.
func (c PluginConfig) RequireFeature(feature string) error {
	if c.HasFeature(feature) {
		return nil
	}
	return fmt.Errorf("%w: %s (the %s tier or this plugin's token does not include it)", ErrFeatureNotAvailable, feature, c.Tier)
}

// DecodeSettings puts CustomSettings into a struct of yours, by its json tags.
func (c PluginConfig) DecodeSettings(target any) error {
	data, err := json.Marshal(c.CustomSettings)
	if err != nil {
		return fmt.Errorf("custom settings: %w", err)
	}
	if err := json.Unmarshal(data, target); err != nil {
		return fmt.Errorf("custom settings: %w", err)
	}
	return nil
}

// StreamEventType says what a message is.
type StreamEventType string

// The types of a message.
const (
	StreamEventRequest      StreamEventType = "request"
	StreamEventResponse     StreamEventType = "response"
	StreamEventNotification StreamEventType = "notification"
	StreamEventError        StreamEventType = "error"
)

// Directions: who sent the message, whatever it is.
const (
	DirectionRequest  = "request"  // client to server
	DirectionResponse = "response" // server to client
)

// Party is a server or a client of MCP. Name is stable for a session; Title is what the program calls itself.
type Party struct {
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
	Title   string `json:"title,omitempty"`
}

// ServerInfo is the MCP server of an event's session.
type ServerInfo = Party

// ClientInfo is the MCP client of an event's session.
type ClientInfo = Party

// StreamEvent is one JSON-RPC message as one side sent it, and what the monitor knows about it.
type StreamEvent struct {
	// Event identification
	ID            string    `json:"id"`
	CorrelationID string    `json:"correlation_id"`
	Timestamp     time.Time `json:"timestamp"`

	// Event type and data
	Type      StreamEventType `json:"type"`
	Direction string          `json:"direction"` // "request" or "response"

	// Message holds the bytes as they were sent. Usually JSON, but a server may print anything: check json.Valid.
	Message json.RawMessage `json:"message"`

	// Context information
	ServerInfo ServerInfo `json:"server_info"`
	ClientInfo ClientInfo `json:"client_info"`

	// What the monitor adds
	SessionID   string  `json:"session_id"`
	Sequence    uint64  `json:"sequence"`
	HasDuration bool    `json:"-"`
	DurationMS  float64 `json:"duration_ms"` // on a response, since its request; see HasDuration
	Method      string  `json:"method"`      // also on a response
	Tool        string  `json:"tool"`        // of a tools/call and of its response
	IsError     bool    `json:"is_error"`
	Size        uint64  `json:"size"`      // bytes of the whole message
	Truncated   bool    `json:"truncated"` // Message holds only the first bytes
}
