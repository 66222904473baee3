package stats

import (
	"math"
	"math/bits"
	"slices"
	"strings"
)

// Summary is what summary.json holds. Durations are milliseconds.
type Summary struct {
	Tools      []ToolSummary `json:"tools"`
	OtherCalls uint64        `json:"other_calls"` // of tools beyond `max_tools`
}

// ToolSummary is one tool's row. P50MS and P95MS are within 3.2 % of the exact percentile.
type ToolSummary struct {
	Name   string  `json:"name"`
	Calls  uint64  `json:"calls"`
	Errors uint64  `json:"errors"`
	P50MS  float64 `json:"p50_ms"`
	P95MS  float64 `json:"p95_ms"`
	MaxMS  float64 `json:"max_ms"`
	MeanMS float64 `json:"mean_ms"`
}

// table holds a bounded number of tools: their names come from servers, which may make up new ones for ever.
type table struct {
	most  int
	tools map[string]*tool
	other uint64
}

type tool struct {
	calls, errors uint64
	sum, largest  float64
	histogram     histogram
}

func newTable(most int) *table { return &table{most: most, tools: map[string]*tool{}} }

func (t *table) add(name string, durationMS float64, isError bool) {
	found := t.tools[name]
	if found == nil {
		if len(t.tools) >= t.most {
			t.other++
			return
		}
		found = &tool{histogram: histogram{}}
		t.tools[strings.Clone(name)] = found
	}
	found.calls++
	found.sum += durationMS
	found.largest = max(found.largest, durationMS)
	found.histogram.add(durationMS)
	if isError {
		found.errors++
	}
}

// summary lists the tools that took most time first.
func (t *table) summary() Summary {
	result := Summary{Tools: []ToolSummary{}, OtherCalls: t.other}
	for name, tool := range t.tools {
		result.Tools = append(result.Tools, ToolSummary{
			Name: name, Calls: tool.calls, Errors: tool.errors, MaxMS: tool.largest, MeanMS: tool.sum / float64(tool.calls),
			P50MS: min(tool.histogram.percentile(0.50, tool.calls), tool.largest),
			P95MS: min(tool.histogram.percentile(0.95, tool.calls), tool.largest),
		})
	}
	slices.SortFunc(result.Tools, func(a, b ToolSummary) int {
		byTime := b.MeanMS*float64(b.Calls) - a.MeanMS*float64(a.Calls)
		if byTime != 0 {
			return int(math.Copysign(1, byTime))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return result
}

// histogram counts durations in microseconds, in buckets that grow with the value: 32 to each doubling, so that a
// percentile is at most 1/32 off and a tool needs a few hundred bytes however many calls it gets.
type histogram map[uint16]uint64

const steps = 32

func (h histogram) add(durationMS float64) {
	h[bucket(uint64(min(max(durationMS*1000, 0), math.MaxInt64/2)))]++
}

// percentile is the upper end, in milliseconds, of the bucket in which the given share of the calls is reached.
func (h histogram) percentile(share float64, calls uint64) float64 {
	buckets := make([]uint16, 0, len(h))
	for index := range h {
		buckets = append(buckets, index)
	}
	slices.Sort(buckets)
	wanted := uint64(math.Ceil(share * float64(calls)))
	var seen uint64
	for _, index := range buckets {
		if seen += h[index]; seen >= wanted {
			return float64(upper(index)) / 1000
		}
	}
	return 0
}

func bucket(value uint64) uint16 {
	if value < 2*steps {
		return uint16(value)
	}
	shift := bits.Len64(value) - bits.Len64(2*steps-1)
	return uint16(shift*steps) + uint16(value>>shift)
}

func upper(index uint16) uint64 {
	if index < 2*steps {
		return uint64(index)
	}
	shift := index/steps - 1
	return (uint64(index-shift*steps)+1)<<shift - 1
}
