package kilometers_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	kilometers "github.com/kilometers-ai/kilometers-plugin-sdk-go"
	"github.com/kilometers-ai/kilometers-plugin-sdk-go/kmtest"
)

// api answers POST /api/events as the server does: it knows an event by its id.
type api struct {
	t       *testing.T
	mutex   sync.Mutex
	answers []int  // statuses to answer first
	wait    string // Retry-After of those
	most    int    // events in a body; more is 413
	events  map[string]map[string]json.RawMessage
	tokens  []string
}

func newAPI(t *testing.T) (*api, *kilometers.APIClient) {
	t.Helper()
	a := &api{t: t, most: 2000, events: map[string]map[string]json.RawMessage{}}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	client, err := kilometers.NewAPIClient(server.URL, "token-1")
	if err != nil {
		t.Fatal(err)
	}
	client.Budget = 10 * time.Second
	return a, client
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.tokens = append(a.tokens, r.Header.Get("Authorization"))
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			a.t.Error(err)
		}
		body = unpacked
	}
	var batch struct {
		Events []map[string]json.RawMessage `json:"events"`
	}
	if err := json.NewDecoder(body).Decode(&batch); err != nil {
		a.t.Errorf("the body is not JSON: %v", err)
	}
	status := http.StatusOK
	if len(a.answers) > 0 {
		status, a.answers = a.answers[0], a.answers[1:]
	} else if len(batch.Events) > a.most {
		status = http.StatusRequestEntityTooLarge
	}
	answer := map[string]any{"error": map[string]string{"message": "refused", "hint": "by the test"}}
	if status == http.StatusOK {
		answer = a.store(batch.Events)
	}
	if status != http.StatusOK && a.wait != "" {
		w.Header().Set("Retry-After", a.wait)
	}
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		a.t.Error(err)
	}
}

func (a *api) store(events []map[string]json.RawMessage) map[string]any {
	known := 0
	for _, event := range events {
		id := string(event["id"])
		if _, seen := a.events[id]; seen {
			known++
		}
		a.events[id] = event
	}
	return map[string]any{"success": true, "accepted": len(events) - known, "duplicates": known, "rejected": []string{}}
}

func TestEveryMessageArrivesByteForByte(t *testing.T) {
	a, client := newAPI(t)
	golden := kmtest.GoldenEvents(t)
	sent, err := client.Send(t.Context(), golden)
	if err != nil || sent.Accepted != len(golden) {
		t.Fatalf("sent %+v, %v", sent, err)
	}
	for _, event := range golden {
		stored := a.events[`"`+event.ID+`"`]
		encoding := string(stored["message_encoding"])
		if json.Valid(event.Message) && string(stored["message"]) != string(event.Message) {
			t.Errorf("%s: stored %s, sent %s", event.ID, stored["message"], event.Message)
		}
		if !json.Valid(event.Message) && encoding != `"text"` && encoding != `"base64"` {
			t.Errorf("%s: encoding %s of %q", event.ID, encoding, event.Message)
		}
	}
}

func TestARetryableAnswerIsRetried(t *testing.T) {
	a, client := newAPI(t)
	a.answers = []int{503, 429}
	if err := client.LogEvents(t.Context(), kmtest.GoldenEvents(t)[:1]); err != nil {
		t.Fatal(err)
	}
	if len(a.tokens) != 3 || len(a.events) != 1 {
		t.Errorf("%d tries, %d events", len(a.tokens), len(a.events))
	}
}

func TestAWaitThatIsLongerThanTheTimeLeftIsSaidAndNotSlept(t *testing.T) {
	a, client := newAPI(t)
	a.answers, a.wait = []int{429}, "3600"
	started := time.Now()
	var refused *kilometers.APIError
	err := client.LogEvent(t.Context(), kmtest.GoldenEvents(t)[0])
	if !errors.As(err, &refused) || refused.Status != 429 || refused.RetryAfter != time.Hour || len(a.tokens) != 1 {
		t.Errorf("got %v after %d tries", err, len(a.tokens))
	}
	if time.Since(started) > 5*time.Second {
		t.Errorf("it took %s", time.Since(started))
	}
}

func TestAFinalAnswerIsNotRetried(t *testing.T) {
	a, client := newAPI(t)
	a.answers = []int{401}
	var refused *kilometers.APIError
	if err := client.LogEvent(t.Context(), kmtest.GoldenEvents(t)[0]); !errors.As(err, &refused) || refused.Status != 401 {
		t.Errorf("got %v", err)
	}
	if len(a.tokens) != 1 {
		t.Errorf("%d tries", len(a.tokens))
	}
}

func TestABodyTooLargeIsSentInHalves(t *testing.T) {
	a, client := newAPI(t)
	a.most = 5
	golden := kmtest.GoldenEvents(t)
	sent, err := client.Send(t.Context(), golden)
	if err != nil || sent.Accepted != len(golden) || len(a.events) != len(golden) {
		t.Errorf("sent %+v, %v; stored %d", sent, err, len(a.events))
	}
}

func TestARenewedTokenIsUsedAndTheContextEndsTheRetries(t *testing.T) {
	a, client := newAPI(t)
	client.SetJWT("token-2")
	a.answers = []int{503, 503, 503, 503, 503, 503, 503, 503}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := client.LogEvents(ctx, kmtest.GoldenEvents(t)[:1]); err == nil {
		t.Error("no error")
	}
	if a.tokens[0] != "Bearer token-2" {
		t.Errorf("tokens are %v", a.tokens)
	}
}

func TestATokenIsNotSentUnencryptedOverANetwork(t *testing.T) {
	for _, address := range []string{"http://api.example.com", "ftp://x", "", "api.example.com"} {
		if _, err := kilometers.NewAPIClient(address, "t"); err == nil {
			t.Errorf("%q was taken", address)
		}
	}
}
