package plugin

import (
	"context"
	"encoding/json"
	"time"
)

type KilometersPlugin interface {
	// Initialize the plugin with configuration
	Initialize(ctx context.Context, config PluginConfig) error

	// Handle streaming MCP events
	HandleStreamEvent(ctx context.Context, event StreamEvent) error

	// Gracefully shutdown the plugin
	Shutdown(ctx context.Context) error
}

type PluginConfig struct {
	// Customer identification
	CustomerID string `json:"customer_id"`

	// Authentication
	APIKey      string `json:"api_key"`
	APIEndpoint string `json:"api_endpoint"`
	JWT         string `json:"jwt"`

	// Feature access
	Features []string `json:"features"`
	Tier     string   `json:"tier"`

	// Runtime settings
	Debug    bool   `json:"debug"`
	LogLevel string `json:"log_level"`

	// Custom plugin configuration
	CustomSettings map[string]interface{} `json:"custom_settings"`

	// The keys the token is checked with, and whom it must be for
	TokenKeys  string `json:"token_keys"`
	PluginName string `json:"plugin_name"`
}

type StreamEvent struct {
	// Event identification
	ID            string    `json:"id"`
	CorrelationID string    `json:"correlation_id"`
	Timestamp     time.Time `json:"timestamp"`

	// Event type and data
	Type      StreamEventType `json:"type"`
	Direction string          `json:"direction"` // "request" or "response"

	// JSON-RPC message content
	Message json.RawMessage `json:"message"`

	// Context information
	ServerInfo ServerInfo `json:"server_info"`
	ClientInfo ClientInfo `json:"client_info"`
}

type StreamEventType string

const StreamEventRequest StreamEventType = "request"

type ServerInfo struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type ClientInfo struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}
