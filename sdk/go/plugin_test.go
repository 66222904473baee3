package kilometers_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	kilometers "github.com/kilometers-ai/kilometers-plugin-sdk-go"
	"github.com/kilometers-ai/kilometers-plugin-sdk-go/kmtest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const ownManifest = `{"name": "my-plugin", "version": "1.2.3", "features": {"required": ["console_logging"]}}`

type recorder struct {
	config kilometers.PluginConfig
	events []kilometers.StreamEvent
	ended  bool
}

func (r *recorder) Initialize(_ context.Context, config kilometers.PluginConfig) error {
	r.config = config
	return nil
}

func (r *recorder) HandleStreamEvent(_ context.Context, event kilometers.StreamEvent) error {
	if event.Method == "panic" {
		panic("boom")
	}
	r.events = append(r.events, event)
	if event.Method == "fail" {
		return errors.New("this one fails")
	}
	return nil
}

func (r *recorder) Shutdown(context.Context) error {
	r.ended = true
	return nil
}

type updatable struct{ recorder }

func (u *updatable) UpdateConfig(_ context.Context, config kilometers.PluginConfig) error {
	u.config = config
	return nil
}

func TestEveryFieldOfAnEventArrives(t *testing.T) {
	impl := &recorder{}
	client := kmtest.Serve(t, impl, []byte(ownManifest))
	config := kmtest.NewTokenIssuer(t).Config(t, "my-plugin", "Free", "console_logging")
	config.CustomSettings = map[string]any{"log_level": "debug", "limits": map[string]any{"most": 5.0}}
	if err := client.Initialize(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	golden := kmtest.GoldenEvents(t)
	kmtest.Feed(t, client, golden)
	if err := client.HandleStreamEvent(t.Context(), golden[0]); err != nil {
		t.Fatal(err)
	}
	for index, want := range append(golden, golden[0]) {
		got := impl.events[index]
		if string(got.Message) != string(want.Message) || !got.Timestamp.Equal(want.Timestamp) {
			t.Errorf("event %d: got %+v, want %+v", index, got, want)
		}

		if got.ID != want.ID || got.Tool != want.Tool || got.ServerInfo != want.ServerInfo || got.HasDuration != want.HasDuration ||
			got.DurationMS != want.DurationMS || got.Sequence != want.Sequence || got.Size != want.Size || got.Truncated != want.Truncated {
			t.Errorf("event %d: got %+v, want %+v", index, got, want)
		}
	}
	var settings struct {
		LogLevel string `json:"log_level"`
		Limits   struct{ Most int }
	}
	if err := impl.config.DecodeSettings(&settings); err != nil || settings.LogLevel != "debug" || settings.Limits.Most != 5 {
		t.Errorf("settings are %+v, %v", settings, err)
	}
}

func TestFeaturesAreThoseOfferedAndGranted(t *testing.T) {
	impl, issuer := &recorder{}, kmtest.NewTokenIssuer(t)
	client := kmtest.Serve(t, impl, []byte(ownManifest))
	config := issuer.Config(t, "my-plugin", "Pro", "console_logging", "api_logging")
	config.Features = append(config.Features, "advanced_analytics")
	if err := client.Initialize(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if !impl.config.HasFeature("api_logging") || impl.config.HasFeature("advanced_analytics") {
		t.Errorf("features are %v", impl.config.Features)
	}
	if err := impl.config.RequireFeature("advanced_analytics"); !errors.Is(err, kilometers.ErrFeatureNotAvailable) {
		t.Errorf("got %v", err)
	}
}

func TestWithoutATokenOnlyTheFreeFeaturesAreLeft(t *testing.T) {
	impl := &recorder{}
	client := kmtest.Serve(t, impl, []byte(ownManifest))
	config := kilometers.PluginConfig{Features: []string{"console_logging", "api_logging"}}
	if err := client.Initialize(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if len(impl.config.Features) != 1 || impl.config.Features[0] != "console_logging" {
		t.Errorf("features are %v", impl.config.Features)
	}
}

func TestInitializeRefusesWhatItCannotTrust(t *testing.T) {
	issuer := kmtest.NewTokenIssuer(t)
	client := kmtest.Serve(t, &recorder{}, []byte(ownManifest))
	lacking := issuer.Config(t, "my-plugin", "Free")
	forged := issuer.Config(t, "my-plugin", "Free", "console_logging")
	forged.TokenKeys = kmtest.NewTokenIssuer(t).Keys()
	for want, config := range map[string]kilometers.PluginConfig{"feature not available: console_logging": lacking, "authentication failed": forged} {
		if err := client.Initialize(t.Context(), config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := client.HandleStreamEvent(t.Context(), kmtest.GoldenEvents(t)[0]); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("an event before Initialize: %v", err)
	}
}

func TestAPanicIsAnErrorAndTheNextEventIsHandled(t *testing.T) {
	impl := &recorder{}
	client := kmtest.Serve(t, impl, nil)
	if err := client.Initialize(t.Context(), kilometers.PluginConfig{}); err != nil {
		t.Fatal(err)
	}
	events := []kilometers.StreamEvent{{ID: "1", Method: "panic"}, {ID: "2", Method: "fail"}, {ID: "3"}}
	err := client.HandleStreamEvents(t.Context(), events)
	if err == nil || !strings.Contains(err.Error(), "panic: boom") {
		t.Errorf("got %v", err)
	}
	info, err := client.Info(t.Context())
	if err != nil || info.GetHandled() != 1 || info.GetFailed() != 2 || len(impl.events) != 2 {
		t.Errorf("info is %v, %v", info, err)
	}
	if err := client.Shutdown(t.Context()); err != nil || !impl.ended {
		t.Errorf("shutdown: %v, ended %v", err, impl.ended)
	}
}

func TestAChangedTierReachesAPluginThatCanTakeIt(t *testing.T) {
	issuer, impl := kmtest.NewTokenIssuer(t), &updatable{}
	client := kmtest.Serve(t, impl, nil)
	if err := client.Initialize(t.Context(), issuer.Config(t, "p", "Free", "console_logging")); err != nil {
		t.Fatal(err)
	}
	if err := client.UpdateConfig(t.Context(), issuer.Config(t, "p", "Pro", "console_logging", "api_logging")); err != nil {
		t.Fatal(err)
	}
	if impl.config.Tier != "Pro" || !impl.config.HasFeature("api_logging") {
		t.Errorf("config is %+v", impl.config)
	}
	expired := issuer.Config(t, "p", "Pro", "console_logging", "api_logging")
	expired.JWT = issuer.Sign(t, issuer.Claims("p", kmtest.Customer, "Pro", expired.Features, time.Now().Add(-time.Hour)))
	if err := client.UpdateConfig(t.Context(), expired); err == nil || len(impl.config.Features) != 0 || impl.config.JWT != "" {
		t.Errorf("an expired token left %v: %v", impl.config.Features, err)
	}
	offline := issuer.OfflineConfig(t, "p", "Pro", "console_logging", "api_logging")
	offline.JWT = expired.JWT
	if err := client.UpdateConfig(t.Context(), offline); err != nil || !impl.config.Offline() || !impl.config.HasFeature("api_logging") || impl.config.JWT != "" {
		t.Errorf("an expired token beside a lease left %+v: %v", impl.config, err)
	}
	fixed := kmtest.Serve(t, &recorder{}, nil)
	if err := fixed.UpdateConfig(t.Context(), issuer.Config(t, "p", "Pro")); status.Code(err) != codes.Unimplemented {
		t.Errorf("a plugin that cannot take it: %v", err)
	}
}
