package stats

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	kilometers "github.com/kilometers-ai/kilometers-plugin-sdk-go"
	"github.com/kilometers-ai/kilometers-plugin-sdk-go/kmtest"
)

func started(t *testing.T, tier string, features ...string) (*Plugin, *kilometers.GRPCClient, string) {
	t.Helper()
	return startedWith(t, nil, kmtest.NewTokenIssuer(t).Config(t, "tool-stats", tier, features...))
}

func startedWith(t *testing.T, settings map[string]any, config kilometers.PluginConfig) (*Plugin, *kilometers.GRPCClient, string) {
	t.Helper()
	plugin, directory := New(), t.TempDir()
	client := kmtest.Serve(t, plugin, nil)
	config.StateDir, config.CustomSettings = directory, settings
	if err := client.Initialize(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	return plugin, client, filepath.Join(directory, summaryFile)
}

func TestTheGoldenStreamIsSummedUp(t *testing.T) {
	_, client, file := started(t, "Enterprise", feature)
	kmtest.Feed(t, client, kmtest.GoldenEvents(t))
	if err := client.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	summary := reported(t, file)
	if len(summary.Tools) != 2 {
		t.Fatalf("got %+v", summary)
	}
	gitLog, readFile := summary.Tools[0], summary.Tools[1]
	if gitLog.Name != "git_log" || gitLog.Calls != 3 || gitLog.Errors != 1 || gitLog.MaxMS != 1250 {
		t.Errorf("git_log is %+v", gitLog)
	}
	if readFile.Name != "read_file" || readFile.Calls != 2 || readFile.Errors != 1 || readFile.MaxMS != 12.75 {
		t.Errorf("read_file is %+v", readFile)
	}
}

// reported is what the file holds; an empty summary while there is none.
func reported(t *testing.T, file string) Summary {
	t.Helper()
	var summary Summary
	data, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return summary
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &summary); err != nil {
		t.Fatal(err)
	}
	return summary
}

func TestTheTableIsWrittenWhileTheSessionIsIdle(t *testing.T) {
	settings := map[string]any{"report_seconds": 0.01}
	_, client, file := startedWith(t, settings, kmtest.NewTokenIssuer(t).Config(t, "tool-stats", "Enterprise", feature))
	for calls := range 2 { // the clock runs again after a report
		kmtest.Feed(t, client, []kilometers.StreamEvent{{Tool: "a", HasDuration: true, DurationMS: 5}})
		for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			if tools := reported(t, file).Tools; len(tools) == 1 && tools[0].Calls == uint64(calls+1) {
				break
			}
			if time.Now().After(until) {
				t.Fatalf("call %d was not reported", calls+1)
			}
		}
	}
}

func TestTheTableIsWrittenAfterSoManyCalls(t *testing.T) {
	settings := map[string]any{"report_calls": 3, "report_seconds": 86400}
	_, client, file := startedWith(t, settings, kmtest.NewTokenIssuer(t).Config(t, "tool-stats", "Enterprise", feature))
	call := kilometers.StreamEvent{Tool: "a", HasDuration: true, DurationMS: 5}
	kmtest.Feed(t, client, []kilometers.StreamEvent{call, call})
	if tools := reported(t, file).Tools; len(tools) != 0 {
		t.Errorf("reported already: %v", tools)
	}
	kmtest.Feed(t, client, []kilometers.StreamEvent{call, call})
	if tools := reported(t, file).Tools; len(tools) != 1 || tools[0].Calls != 3 {
		t.Errorf("got %v", tools)
	}
}

func TestOfflineItCountsByTheLease(t *testing.T) {
	_, client, file := startedWith(t, nil, kmtest.NewTokenIssuer(t).OfflineConfig(t, "tool-stats", "Enterprise", feature))
	kmtest.Feed(t, client, kmtest.GoldenEvents(t))
	if err := client.Shutdown(t.Context()); err != nil || len(reported(t, file).Tools) != 2 {
		t.Errorf("got %v, %v", reported(t, file), err)
	}
}

func TestWithoutTheFeatureNothingIsCounted(t *testing.T) {
	plugin, client, file := started(t, "Pro", "api_logging")
	kmtest.Feed(t, client, kmtest.GoldenEvents(t))
	if err := client.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); len(plugin.table.tools) != 0 || !os.IsNotExist(err) {
		t.Errorf("tools are %v, file: %v", plugin.table.tools, err)
	}
}

func TestADowngradeStopsTheCountAndAnUpgradeGoesOn(t *testing.T) {
	plugin, client, _ := started(t, "Enterprise", feature)
	call := kilometers.StreamEvent{Tool: "a", HasDuration: true, DurationMS: 5, Timestamp: time.Unix(1, 0)}
	for _, features := range [][]string{{feature}, {}, {feature}} {
		config := kmtest.NewTokenIssuer(t).Config(t, "tool-stats", "Enterprise", features...)
		if err := client.UpdateConfig(t.Context(), config); err != nil {
			t.Fatal(err)
		}
		kmtest.Feed(t, client, []kilometers.StreamEvent{call})
	}
	if plugin.table.tools["a"].calls != 2 {
		t.Errorf("%d calls", plugin.table.tools["a"].calls)
	}
}

func TestPercentilesAreWithinABucketOfTheExactOnes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	table := newTable(10)
	var exact []float64
	for range 5000 {
		duration := math.Exp(random.NormFloat64()*2 + 3)
		exact = append(exact, duration)
		table.add("tool", duration, false)
	}
	slices.Sort(exact)
	got := table.summary().Tools[0]
	for share, value := range map[float64]float64{0.50: got.P50MS, 0.95: got.P95MS} {
		want := exact[int(math.Ceil(share*5000))-1]
		if off := math.Abs(value-want) / want; off > 1.0/steps {
			t.Errorf("p%.0f is %.3f, want %.3f: %.1f %% off", share*100, value, want, off*100)
		}
	}
}

func TestEveryValueLiesInItsBucket(t *testing.T) {
	for exponent := range 62 {
		for _, near := range []int64{-1, 0, 1} {
			value := uint64(max(int64(1)<<exponent+near, 0))
			index := bucket(value)
			if value > upper(index) || (index > 0 && value <= upper(index-1)) {
				t.Fatalf("%d is in bucket %d, which ends at %d", value, index, upper(index))
			}
		}
	}
}

func TestAServerThatInventsToolsCannotFillTheMemory(t *testing.T) {
	table := newTable(100)
	for number := range 10_000 {
		table.add(fmt.Sprint(number), 1, false)
	}
	if summary := table.summary(); len(summary.Tools) != 100 || summary.OtherCalls != 9_900 {
		t.Errorf("%d tools, %d other calls", len(summary.Tools), summary.OtherCalls)
	}
}

func TestAToolsNameCannotWriteToTheTerminal(t *testing.T) {
	text := render(Summary{Tools: []ToolSummary{{Name: "evil\n\x1b[2J" + strings.Repeat("x", 500), Calls: 1}}})
	if strings.Contains(text, "\x1b") || strings.Count(text, "\n") != 2 || len(text) > 300 {
		t.Errorf("%q", text)
	}
}
