package kilometers

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxEventsPerBatch = 2000
	compressFrom      = 1024 // bytes; below this, gzip's header eats the gain
	firstPause        = 500 * time.Millisecond
	longestPause      = 30 * time.Second
	answerLimit       = 1 << 20
)

// APIClient sends events to the Kilometers API, and keeps trying while trying can help.
//
// POST /api/events is safe to repeat: the server knows an event by its id. So a broken connection, 429, 500, 502, 503
// and 504 are retried with growing, jittered pauses, or the server's own Retry-After, until the context ends or Budget
// is spent, and no longer when the server asks for a longer wait than is left; 413 is sent again in halves; any other
// answer is final and is an *APIError.
type APIClient struct {
	Budget time.Duration // for one call of LogEvents; 60 s

	base       string
	httpClient *http.Client
	mutex      sync.Mutex
	jwt        string
}

// APIError is what the server answered instead of storing the events; Status is 0 when it did not answer. RetryAfter is
// how long the server asked to wait, 0 when it did not say.
type APIError struct {
	Status        int
	Message, Hint string
	RetryAfter    time.Duration
}

func (e *APIError) Error() string {
	if e.Status == 0 {
		return "the API did not answer: " + e.Message
	}
	return fmt.Sprintf("the API answered %d: %s", e.Status, e.Message)
}

// Sent is what the server did with the events.
type Sent struct{ Accepted, Duplicates, Rejected int }

// NewAPIClient refuses an address that would send the token unencrypted over a network.
func NewAPIClient(baseURL, jwt string) (*APIClient, error) {
	parsed, err := url.Parse(baseURL)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "https" && parsed.Scheme != "http") {
		return nil, fmt.Errorf("%q is not the address of an API, such as https://api.example.com", baseURL)
	}
	if ip := net.ParseIP(parsed.Hostname()); parsed.Scheme == "http" && parsed.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("%q would send the token unencrypted: use https", baseURL)
	}
	client := &http.Client{
		Timeout:       10 * time.Second, // longer than the p99 of a cold TLS handshake on mobile
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &APIClient{Budget: time.Minute, base: strings.TrimRight(baseURL, "/"), httpClient: client, jwt: jwt}, nil
}

// SetJWT takes a renewed token; call it from UpdateConfig.
func (c *APIClient) SetJWT(jwt string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.jwt = jwt
}

// LogEvent sends one event.
func (c *APIClient) LogEvent(ctx context.Context, event StreamEvent) error {
	return c.LogEvents(ctx, []StreamEvent{event})
}

// LogEvents returns nil once the server has stored the events; it fits NewBatcher.
func (c *APIClient) LogEvents(ctx context.Context, events []StreamEvent) error {
	_, err := c.Send(ctx, events)
	return err
}

// Send is LogEvents that also says what the server did with them.
func (c *APIClient) Send(ctx context.Context, events []StreamEvent) (Sent, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Budget)
	defer cancel()
	var sent Sent
	for start := 0; start < len(events); start += maxEventsPerBatch {
		part, err := c.sendPart(ctx, events[start:min(start+maxEventsPerBatch, len(events))])
		sent = sent.plus(part)
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// Close lets go of idle connections.
func (c *APIClient) Close() error {
	c.httpClient.CloseIdleConnections()
	return nil
}

func (s Sent) plus(o Sent) Sent {
	return Sent{s.Accepted + o.Accepted, s.Duplicates + o.Duplicates, s.Rejected + o.Rejected}
}

func (c *APIClient) sendPart(ctx context.Context, events []StreamEvent) (Sent, error) {
	body, err := batchBody(events)
	if err != nil {
		return Sent{}, err
	}
	sent, err := c.deliver(ctx, body)
	var refused *APIError
	if !errors.As(err, &refused) || refused.Status != http.StatusRequestEntityTooLarge || len(events) == 1 {
		return sent, err
	}
	half := len(events) / 2
	first, err := c.sendPart(ctx, events[:half])
	if err != nil {
		return first, err
	}
	second, err := c.sendPart(ctx, events[half:])
	return first.plus(second), err
}

func batchBody(events []StreamEvent) ([]byte, error) {
	var buffer bytes.Buffer
	buffer.WriteString(`{"events":[`)
	for index, event := range events {
		if index > 0 {
			buffer.WriteByte(',')
		}
		if err := event.appendTo(&buffer); err != nil {
			return nil, err
		}
	}
	buffer.WriteString("]}")
	return buffer.Bytes(), nil
}

// deliver returns the first answer that is final, or the last one when the time is up.
func (c *APIClient) deliver(ctx context.Context, body []byte) (Sent, error) {
	pause := firstPause
	for {
		sent, err := c.try(ctx, body)
		var refused *APIError
		if err == nil || !errors.As(err, &refused) || !retried(refused.Status) {
			return sent, err
		}
		wait := max(refused.RetryAfter, pause/2+rand.N(pause/2)) //nolint:gosec // spreads clients, hides nothing
		if until, bounded := ctx.Deadline(); bounded && time.Until(until) < wait {
			return Sent{}, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return Sent{}, err
		}
		pause = min(pause*2, longestPause)
	}
}

func retried(status int) bool {
	switch status {
	case 0, 429, 500, 502, 503, 504:
		return true
	}
	return false
}

func (c *APIClient) try(ctx context.Context, body []byte) (Sent, error) {
	request, err := c.createRequest(ctx, body)
	if err != nil {
		return Sent{}, err
	}
	response, err := c.httpClient.Do(request)
	if err != nil {
		return Sent{}, &APIError{Message: err.Error()}
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return Sent{}, &APIError{Message: err.Error()}
	}
	if response.StatusCode != http.StatusOK {
		return Sent{}, refusal(response, answer)
	}
	return readSent(answer)
}

func (c *APIClient) createRequest(ctx context.Context, body []byte) (*http.Request, error) {
	encoding := ""
	if len(body) >= compressFrom {
		var packed bytes.Buffer
		writer := gzip.NewWriter(&packed)
		if _, err := writer.Write(body); err != nil {
			return nil, err
		}
		if err := writer.Close(); err != nil {
			return nil, err
		}
		body, encoding = packed.Bytes(), "gzip"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/api/events", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	c.mutex.Lock()
	request.Header.Set("Authorization", "Bearer "+c.jwt)
	c.mutex.Unlock()
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "km-plugin-sdk-go/"+Version)
	if encoding != "" {
		request.Header.Set("Content-Encoding", encoding)
	}
	return request, nil
}

func retryAfter(response *http.Response) time.Duration {
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, 1_000_000_000)) * time.Second
}

func refusal(response *http.Response, answer []byte) *APIError {
	var body struct {
		Error struct{ Message, Hint string }
	}
	status, wait := response.StatusCode, retryAfter(response)
	if err := json.Unmarshal(answer, &body); err != nil || body.Error.Message == "" {
		return &APIError{status, http.StatusText(status), "the events were not stored", wait}
	}
	return &APIError{status, body.Error.Message, body.Error.Hint, wait}
}

func readSent(answer []byte) (Sent, error) {
	var body struct {
		Accepted   *int
		Duplicates int
		Rejected   []json.RawMessage
	}
	if err := json.Unmarshal(answer, &body); err != nil || body.Accepted == nil {
		return Sent{}, &APIError{Status: http.StatusOK, Message: "not the answer of the Kilometers API", Hint: "check the endpoint"}
	}
	return Sent{*body.Accepted, body.Duplicates, len(body.Rejected)}, nil
}
