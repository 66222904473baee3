package plugin

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPluginInitialization(t *testing.T) {
	plugin := &MyPlugin{}

	config := PluginConfig{
		CustomerID: "test_customer",
		APIKey:     "test_key",
		Features:   []string{"console_logging"},
		Tier:       "Free",
		Debug:      true,
	}

	err := plugin.Initialize(context.Background(), config)
	assert.NoError(t, err)
}

func TestStreamEventHandling(t *testing.T) {
	plugin := &MyPlugin{}
	assert.NoError(t, plugin.Initialize(context.Background(), PluginConfig{Features: []string{"console_logging"}, Debug: true}))

	event := StreamEvent{
		ID:        "test_event",
		Type:      StreamEventRequest,
		Direction: "request",
		Message:   json.RawMessage(`{"method": "test"}`),
		Timestamp: time.Now(),
	}

	err := plugin.HandleStreamEvent(context.Background(), event)
	assert.NoError(t, err)
}
