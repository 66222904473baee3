// Package stats counts the calls of each tool and reports them while a session runs and when it ends.
//
//	tool        calls  errors   p50 ms   p95 ms   max ms
//	git_log         3       1     80.2   1250.0   1250.0
//	read_file       2       1      3.5     12.8     12.8
//
// A report is due `report_seconds` after a call, or `report_calls` calls after the last report, whichever comes first; it
// does not wait for the next call, so that what a session did is in the log while the session is idle.
//
// Enterprise (`advanced_analytics`): without the feature nothing is counted, and the log says so once.
package stats

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	kilometers "github.com/kilometers-ai/kilometers-plugin-sdk-go"
)

const (
	feature     = "advanced_analytics"
	summaryFile = "summary.json"
)

// Plugin is tool-stats. Its methods are called one at a time; the lock is for the report that is due by the clock.
type Plugin struct {
	lock       sync.Mutex
	config     kilometers.PluginConfig
	settings   settings
	table      *table
	unreported int         // calls since the last report
	due        *time.Timer // runs while there are any
}

type settings struct {
	ReportSeconds float64 `json:"report_seconds"`
	ReportCalls   int     `json:"report_calls"`
	MaxTools      int     `json:"max_tools"`
}

// New is a plugin that has seen nothing.
func New() *Plugin { return &Plugin{} }

// Initialize starts counting, when the feature is there.
func (p *Plugin) Initialize(_ context.Context, config kilometers.PluginConfig) error {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.settings = settings{ReportSeconds: 60, ReportCalls: 1000, MaxTools: 1000}
	if err := config.DecodeSettings(&p.settings); err != nil {
		return err
	}
	p.table, p.config = newTable(p.settings.MaxTools), config
	if !config.HasFeature(feature) {
		p.sayItIsOff()
	}
	return nil
}

// UpdateConfig stops or goes on counting as the feature goes and comes; what was counted is kept.
func (p *Plugin) UpdateConfig(_ context.Context, config kilometers.PluginConfig) error {
	p.lock.Lock()
	defer p.lock.Unlock()
	had := p.config.HasFeature(feature)
	p.config = config
	if had && !config.HasFeature(feature) {
		p.report()
		p.sayItIsOff()
	}
	return nil
}

// HandleStreamEvent counts the answer to a tool call.
func (p *Plugin) HandleStreamEvent(_ context.Context, event kilometers.StreamEvent) error {
	p.lock.Lock()
	defer p.lock.Unlock()
	if !p.config.HasFeature(feature) || event.Tool == "" || !event.HasDuration {
		return nil
	}
	p.table.add(event.Tool, event.DurationMS, event.IsError)
	if p.unreported++; p.unreported == 1 {
		p.due = time.AfterFunc(time.Duration(p.settings.ReportSeconds*float64(time.Second)), p.reportWhatIsDue)
	}
	if p.unreported >= p.settings.ReportCalls {
		p.report()
	}
	return nil
}

// Shutdown reports a last time.
func (p *Plugin) Shutdown(context.Context) error {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.report()
	return nil
}

func (p *Plugin) reportWhatIsDue() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.report()
}

func (p *Plugin) sayItIsOff() {
	log.Printf("[INFO] %s is not available on the %s tier: tools are not counted", feature, p.config.Tier)
}

// report writes the table to the log, and to the state directory where there is one; nothing, if nothing is new. The lock
// is held.
func (p *Plugin) report() {
	if p.unreported == 0 {
		return
	}
	p.unreported = 0
	p.due.Stop()
	summary := p.table.summary()
	log.Print("[INFO] calls so far, the tools that took most time first:\n", render(summary))
	if p.config.StateDir == "" {
		return
	}
	if err := save(filepath.Join(p.config.StateDir, summaryFile), summary); err != nil {
		log.Printf("[WARN] the summary was not saved: %v", err)
	}
}

// save replaces the file in one step, so that a reader never sees half of it.
func save(path string, summary Summary) error {
	data, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func render(summary Summary) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%-24s %7s %7s %9s %9s %9s\n", "tool", "calls", "errors", "p50 ms", "p95 ms", "max ms")
	for _, tool := range summary.Tools {
		fmt.Fprintf(&text, "%-24s %7d %7d %9.1f %9.1f %9.1f\n", printable(tool.Name), tool.Calls, tool.Errors, tool.P50MS, tool.P95MS, tool.MaxMS)
	}
	if summary.OtherCalls > 0 {
		fmt.Fprintf(&text, "(%d calls of further tools)\n", summary.OtherCalls)
	}
	return text.String()
}

// printable keeps a tool's name, which a server chose, on its line and out of the terminal's control.
func printable(name string) string {
	quoted := fmt.Sprintf("%+q", name)
	if quoted = quoted[1 : len(quoted)-1]; len(quoted) > 64 {
		return quoted[:64] + "..."
	}
	return quoted
}
