// Package kmtest tries a plugin without a host: in this process over a real gRPC connection, or as the process it will
// be, with HashiCorp go-plugin as the host.
package kmtest

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	kilometers "github.com/kilometers-ai/kilometers-plugin-sdk-go"
)

//go:embed golden.jsonl
var golden []byte // the same bytes as in the Python SDK

// GoldenEvents is one recorded session with everything in it that has broken a monitor before: ids that repeat between
// directions, failing tools, lines that are not JSON or not UTF-8, an empty message, a session without initialize.
func GoldenEvents(t testing.TB) []kilometers.StreamEvent {
	t.Helper()
	events, err := parseGolden(golden)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

type line struct {
	ID            string           `json:"id"`
	CorrelationID string           `json:"correlation_id"`
	Timestamp     time.Time        `json:"timestamp"`
	Type          string           `json:"type"`
	Direction     string           `json:"direction"`
	Message       string           `json:"message"`
	MessageBase64 *string          `json:"message_base64"`
	ServerInfo    kilometers.Party `json:"server_info"`
	ClientInfo    kilometers.Party `json:"client_info"`
	SessionID     string           `json:"session_id"`
	Sequence      uint64           `json:"sequence"`
	DurationMS    *float64         `json:"duration_ms"`
	Method        string           `json:"method"`
	Tool          string           `json:"tool"`
	IsError       bool             `json:"is_error"`
	Size          uint64           `json:"size"`
	Truncated     bool             `json:"truncated"`
}

func parseGolden(data []byte) ([]kilometers.StreamEvent, error) {
	var events []kilometers.StreamEvent
	for _, text := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, fmt.Errorf("golden.jsonl: %w", err)
		}
		event, err := l.event()
		if err != nil {
			return nil, fmt.Errorf("golden.jsonl: %w", err)
		}
		events = append(events, event)
	}
	return events, nil
}

func (l line) event() (kilometers.StreamEvent, error) {
	message := []byte(l.Message)
	if l.MessageBase64 != nil {
		decoded, err := base64.StdEncoding.DecodeString(*l.MessageBase64)
		if err != nil {
			return kilometers.StreamEvent{}, err
		}
		message = decoded
	}
	event := kilometers.StreamEvent{
		ID: l.ID, CorrelationID: l.CorrelationID, Timestamp: l.Timestamp, Type: kilometers.StreamEventType(l.Type),
		Direction: l.Direction, Message: message, ServerInfo: l.ServerInfo, ClientInfo: l.ClientInfo,
		SessionID: l.SessionID, Sequence: l.Sequence, Method: l.Method, Tool: l.Tool, IsError: l.IsError,
		Size: l.Size, Truncated: l.Truncated,
	}
	if l.DurationMS != nil {
		event.HasDuration, event.DurationMS = true, *l.DurationMS
	}
	if event.Size == 0 {
		event.Size = uint64(len(message))
	}
	return event, nil
}
