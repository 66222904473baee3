package kilometers

import (
	"context"
	"errors"
	"log"
	"sync"
	"time"
)

// BatcherOptions says when batches go out and how much may wait. Zero values mean the defaults.
type BatcherOptions struct {
	Size     int           // items that make a batch; 64
	Interval time.Duration // the longest an item waits for others; 1 s
	Capacity int           // items that may wait; 4096
	Patience time.Duration // how long Add waits for room; 1 s, below the host's deadline for a call
}

// Batcher collects items and delivers them together, never holding more than Capacity of them.
//
//	batcher := kilometers.NewBatcher(client.LogEvents, kilometers.BatcherOptions{})
//	err := batcher.Add(ctx, event) // at once while there is room
//	err = batcher.Close(ctx)       // delivers the rest
//
// When Capacity items wait, Add waits for room: that is the back-pressure, and the host sees it as a slow plugin. A
// delivery that fails is counted and logged, and the next one is tried.
type Batcher[T any] struct {
	deliver func(context.Context, []T) error
	options BatcherOptions
	items   chan T
	closing chan struct{}
	once    sync.Once
	done    chan struct{}
	cancel  context.CancelFunc

	mutex  sync.Mutex
	counts BatcherCounts
}

// BatcherCounts counts items.
type BatcherCounts struct{ Delivered, Dropped, Failed uint64 }

// Why Add did not take an item.
var (
	ErrBatcherFull   = errors.New("the batcher is full: deliveries are slower than events")
	ErrBatcherClosed = errors.New("the batcher is closed")
)

// NewBatcher starts a batcher; Close ends it.
func NewBatcher[T any](deliver func(context.Context, []T) error, options BatcherOptions) *Batcher[T] {
	options = options.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	b := &Batcher[T]{
		deliver: deliver, options: options, cancel: cancel,
		items: make(chan T, options.Capacity), closing: make(chan struct{}), done: make(chan struct{}),
	}
	go b.run(ctx)
	return b
}

func (o BatcherOptions) withDefaults() BatcherOptions {
	if o.Size <= 0 {
		o.Size = 64
	}
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	if o.Capacity < o.Size {
		o.Capacity = max(4096, o.Size)
	}
	if o.Patience <= 0 {
		o.Patience = time.Second
	}
	return o
}

// Add takes item, or says why not: ErrBatcherFull after Patience, ErrBatcherClosed, or the context's error.
func (b *Batcher[T]) Add(ctx context.Context, item T) error {
	select {
	case <-b.closing:
		return b.drop(ErrBatcherClosed)
	default:
	}
	select {
	case b.items <- item:
		return nil
	default:
	}
	patience := time.NewTimer(b.options.Patience)
	defer patience.Stop()
	select {
	case b.items <- item:
		return nil
	case <-patience.C:
		return b.drop(ErrBatcherFull)
	case <-b.closing:
		return b.drop(ErrBatcherClosed)
	case <-ctx.Done():
		return b.drop(ctx.Err())
	}
}

// Close delivers what waits, until ctx ends; then the delivery under way is cancelled.
func (b *Batcher[T]) Close(ctx context.Context) error {
	b.once.Do(func() { close(b.closing) })
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		b.cancel()
		return ctx.Err()
	}
}

// Counts is a snapshot.
func (b *Batcher[T]) Counts() BatcherCounts {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.counts
}

func (b *Batcher[T]) run(ctx context.Context) {
	defer close(b.done)
	defer b.cancel()
	for ctx.Err() == nil {
		batch, last := b.next()
		if len(batch) > 0 {
			b.send(ctx, batch)
		}
		if last {
			return
		}
	}
}

// next waits for a batch; last is true when the batcher is closed and nothing is left.
func (b *Batcher[T]) next() (batch []T, last bool) {
	var due <-chan time.Time
	for len(batch) < b.options.Size {
		select {
		case item := <-b.items:
			if batch = append(batch, item); due == nil {
				due = time.After(b.options.Interval)
			}
		case <-due:
			return batch, false
		case <-b.closing:
			return b.rest(batch)
		}
	}
	return batch, false
}

func (b *Batcher[T]) rest(batch []T) ([]T, bool) {
	for len(batch) < b.options.Size {
		select {
		case item := <-b.items:
			batch = append(batch, item)
		default:
			return batch, true
		}
	}
	return batch, false
}

func (b *Batcher[T]) send(ctx context.Context, batch []T) {
	err := b.deliver(ctx, batch)
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if err != nil {
		b.counts.Failed += uint64(len(batch))
		log.Printf("%d items were not delivered: %v", len(batch), err)
		return
	}
	b.counts.Delivered += uint64(len(batch))
}

func (b *Batcher[T]) drop(err error) error {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.counts.Dropped++
	return err
}
