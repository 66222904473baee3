package kilometers_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	kilometers "github.com/kilometers-ai/kilometers-plugin-sdk-go"
)

type sink struct {
	mutex   sync.Mutex
	batches [][]int
	arrived chan []int
	gate    chan struct{}
	err     error
}

func newSink() *sink { return &sink{arrived: make(chan []int, 100)} }

func (s *sink) deliver(_ context.Context, batch []int) error {
	if s.gate != nil {
		<-s.gate
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.batches = append(s.batches, batch)
	s.arrived <- batch
	return s.err
}

func TestAFullBatchGoesOutAtOnce(t *testing.T) {
	s := newSink()
	b := kilometers.NewBatcher(s.deliver, kilometers.BatcherOptions{Size: 3, Interval: time.Hour})
	for i := range 3 {
		if err := b.Add(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-s.arrived; len(got) != 3 || got[2] != 2 {
		t.Errorf("got %v", got)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestALoneItemGoesOutAfterTheInterval(t *testing.T) {
	s := newSink()
	b := kilometers.NewBatcher(s.deliver, kilometers.BatcherOptions{Size: 100, Interval: 5 * time.Millisecond})
	if err := b.Add(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if got := <-s.arrived; len(got) != 1 {
		t.Errorf("got %v", got)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCloseDeliversTheRestInOrder(t *testing.T) {
	s := newSink()
	b := kilometers.NewBatcher(s.deliver, kilometers.BatcherOptions{Size: 4, Interval: time.Hour})
	for i := range 10 {
		if err := b.Add(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := 0
	for _, batch := range s.batches {
		for _, item := range batch {
			if item != next {
				t.Fatalf("got %d, want %d", item, next)
			}
			next++
		}
	}
	if next != 10 || b.Counts().Delivered != 10 {
		t.Errorf("%d items arrived, counts %+v", next, b.Counts())
	}
	if err := b.Add(t.Context(), 1); !errors.Is(err, kilometers.ErrBatcherClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestAFullBatcherPushesBackAndThenCountsTheDrop(t *testing.T) {
	s := newSink()
	s.gate = make(chan struct{})
	b := kilometers.NewBatcher(s.deliver, kilometers.BatcherOptions{Size: 1, Capacity: 2, Patience: 10 * time.Millisecond})
	var full error
	for i := 0; full == nil && i < 10; i++ {
		full = b.Add(t.Context(), i)
	}
	if !errors.Is(full, kilometers.ErrBatcherFull) || b.Counts().Dropped != 1 {
		t.Errorf("got %v, counts %+v", full, b.Counts())
	}
	close(s.gate)
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAFailedDeliveryIsCountedAndTheNextOneTried(t *testing.T) {
	s := newSink()
	s.err = errors.New("down")
	b := kilometers.NewBatcher(s.deliver, kilometers.BatcherOptions{Size: 1})
	for i := range 2 {
		if err := b.Add(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if counts := b.Counts(); counts.Failed != 2 || counts.Delivered != 0 {
		t.Errorf("counts are %+v", counts)
	}
}
