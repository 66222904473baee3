package plugin

import (
	"testing"

	"github.com/kilometers-ai/kilometers-plugin-sdk-go/kmtest"
)

func TestSlowCallsOfTheGoldenStreamAreCounted(t *testing.T) {
	plugin := &MyPlugin{}
	client := kmtest.Serve(t, plugin, nil)
	config := kmtest.NewTokenIssuer(t).Config(t, "my-plugin", "Free", "console_logging")
	if err := client.Initialize(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	kmtest.Feed(t, client, kmtest.GoldenEvents(t))
	if plugin.Slow != 1 {
		t.Errorf("%d slow calls, want 1", plugin.Slow)
	}
}

func TestTheSettingDecidesWhatIsSlow(t *testing.T) {
	plugin := &MyPlugin{}
	client := kmtest.Serve(t, plugin, nil)
	config := kmtest.NewTokenIssuer(t).Config(t, "my-plugin", "Free", "console_logging")
	config.CustomSettings = map[string]any{"slow_ms": 50}
	if err := client.Initialize(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	kmtest.Feed(t, client, kmtest.GoldenEvents(t))
	if plugin.Slow != 2 {
		t.Errorf("%d slow calls, want 2", plugin.Slow)
	}
}
