// Package streamtest has a service with methods of every kind, declared as a Go interface.
package streamtest

import (
	"context"
	"iter"
)

// Item is what travels.
type Item struct {
	Name  string
	Count int32
}

// Streamer has methods of every kind.
//
//ferry:service com.example.Streamer
type Streamer interface {
	Greet(ctx context.Context, name string) (string, error)
	Add(ctx context.Context, a, b int64) (int64, error)
	Put(ctx context.Context, item *Item) error
	Count(ctx context.Context, from, to int32) iter.Seq2[int32, error]
	Items(ctx context.Context, name string) iter.Seq2[*Item, error]
	Ticks(ctx context.Context) iter.Seq2[string, error]
	Sum(ctx context.Context, items iter.Seq2[*Item, error]) (int64, error)
	Talk(ctx context.Context, words iter.Seq2[string, error]) iter.Seq2[string, error]
}
