package kilometers

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// wireEvent is an event as POST /api/events takes it, without its message.
type wireEvent struct {
	ID              string   `json:"id"`
	Timestamp       string   `json:"timestamp"`
	Type            string   `json:"type"`
	Direction       string   `json:"direction"`
	CorrelationID   string   `json:"correlation_id,omitempty"`
	ServerInfo      *Party   `json:"server_info,omitempty"`
	ClientInfo      *Party   `json:"client_info,omitempty"`
	SessionID       string   `json:"session_id,omitempty"`
	Sequence        uint64   `json:"sequence,omitempty"`
	DurationMS      *float64 `json:"duration_ms,omitempty"`
	Method          string   `json:"method,omitempty"`
	Tool            string   `json:"tool,omitempty"`
	IsError         bool     `json:"is_error,omitempty"`
	Size            uint64   `json:"size"`
	Truncated       bool     `json:"truncated,omitempty"`
	MessageEncoding string   `json:"message_encoding,omitempty"`
}

// MarshalJSON writes the event as POST /api/events takes it. A message that is no JSON becomes a string.
func (e StreamEvent) MarshalJSON() ([]byte, error) {
	var buffer bytes.Buffer
	err := e.appendTo(&buffer)
	return buffer.Bytes(), err
}

// appendTo keeps the message's bytes: encoding/json would compact and escape them.
func (e StreamEvent) appendTo(buffer *bytes.Buffer) error {
	message, encoding, err := embedded(e.Message)
	if err != nil {
		return err
	}
	head, err := json.Marshal(e.wire(encoding))
	if err != nil {
		return fmt.Errorf("event %s: %w", e.ID, err)
	}
	buffer.Write(head[:len(head)-1])
	buffer.WriteString(`,"message":`)
	buffer.Write(message)
	buffer.WriteByte('}')
	return nil
}

func (e StreamEvent) wire(encoding string) wireEvent {
	w := wireEvent{
		ID: e.ID, Timestamp: e.Timestamp.UTC().Format(time.RFC3339Nano), Type: string(e.Type), Direction: e.Direction,
		CorrelationID: e.CorrelationID, ServerInfo: known(e.ServerInfo), ClientInfo: known(e.ClientInfo),
		SessionID: e.SessionID, Sequence: e.Sequence, Method: e.Method, Tool: e.Tool, IsError: e.IsError,
		Size: e.Size, Truncated: e.Truncated, MessageEncoding: encoding,
	}
	if e.HasDuration {
		w.DurationMS = &e.DurationMS
	}
	if w.Size == 0 {
		w.Size = uint64(len(e.Message))
	}
	return w
}

func known(p Party) *Party {
	if p == (Party{}) {
		return nil
	}
	return &p
}

func embedded(message []byte) (data []byte, encoding string, err error) {
	if !utf8.Valid(message) || (bytes.IndexByte(message, 0) >= 0 && !json.Valid(message)) {
		data, err = json.Marshal(base64.StdEncoding.EncodeToString(message))
		return data, "base64", err
	}
	if json.Valid(message) {
		return message, "", nil
	}
	data, err = json.Marshal(string(message))
	return data, "text", err
}
