package interop

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/interop/fleet"
	"github.com/ferryrpc/ferry/interop/fleet/idl"
	"github.com/ferryrpc/ferry/interop/fleet/proto"
)

// TestTripleStreams has streams and protobuf's messages between Ferry and Java, which writes streams as observers.
func TestTripleStreams(t *testing.T) {
	t.Parallel()
	for _, line := range lines {
		if !wanted(line) || line == "27" {
			continue
		}
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			peer := java(t, line).overTri()
			port := freePort(t)
			provider := peer.start(t, "StreamProvider", "port="+port, "application=java-provider")
			x := newStreamCells(t, "tri://127.0.0.1:"+port)
			for _, one := range x.all() {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				x.streamed(peer, one.name, fromFerry, one.run(ctx))
				cancel()
			}
			require.NoError(t, x.c.Close())
			provider.stop()

			s := ferry.NewServer("", ferry.Param("protocol", "tri"), ferry.Param("host", "127.0.0.1"), ferry.Param("application", "ferry"))
			require.NoError(t, fleet.PublishStreams(s))
			t.Cleanup(func() { closeServer(t, s) })
			consumer := peer.start(t, "StreamConsumer", "url=tri://"+s.URLs()[0].Address(), "application=java-consumer")
			for _, line := range consumer.tell("streams") {
				name, err := cellOf(line)
				x.streamed(peer, name, toFerry, err)
			}
			consumer.stop()
			closeServer(t, s)
		})
	}
}

// cellOf reads what a consumer program says of a cell.
func cellOf(line string) (name string, err error) {
	line = strings.TrimPrefix(line, "CELL ")
	if name, ok := strings.CutSuffix(line, " OK"); ok {
		return name, nil
	}
	name, why, _ := strings.Cut(line, " FAIL ")
	return name, errors.New(why)
}

// streamCells are the cells of a Ferry consumer.
type streamCells struct {
	t       *testing.T
	c       *ferry.Client
	streams fleet.StreamAPI
	proto   proto.ProtoApi
	ref     *ferry.Reference // of proto
	shop    shopCells
}

func newStreamCells(t *testing.T, address string) *streamCells {
	x := &streamCells{t: t, c: client(t, "", ferry.Direct(address))}
	var err error
	x.streams, err = fleet.ReferStreamAPI(x.c)
	require.NoError(t, err)
	x.ref, err = x.c.Refer(proto.ProtoApiService)
	require.NoError(t, err)
	x.proto = proto.NewProtoApi(x.ref)
	x.shop.ref, err = x.c.Refer(idl.ShopService)
	require.NoError(t, err)
	x.shop.shop = idl.NewShop(x.shop.ref)
	return x
}

// streamed reports a cell, unless it failed where Java is known to be at fault and fails between two of its own programs, too.
func (x *streamCells) streamed(peer javaPeer, name, direction string, err error) {
	x.t.Helper()
	why, known := streamLimitations[name]
	if err == nil || !known || !peer.failsItsStream(x.t, name) {
		report(x.t, peer.cell(name), peer.name, direction, err)
		return
	}
	note(peer.cell(name), peer.name, direction, why)
}

// streamLimitations are cells in which Java itself is at fault.
var streamLimitations = map[string]string{
	"idl/client stream, no message": "peer limitation: a Java consumer sends nothing for a stream without messages, also to a Java provider, and waits for ever",
}

// failsItsStream runs a cell between Java's own provider and consumer.
func (p javaPeer) failsItsStream(t *testing.T, name string) bool {
	t.Helper()
	word, _, _ := strings.Cut(name, " ")
	key := p.cell(p.line) + " streams " + word
	answer, ok := controls.Load(key)
	if !ok {
		port := freePort(t)
		provider := p.start(t, "StreamProvider", "port="+port, "application=java-provider")
		consumer := p.start(t, "StreamConsumer", "url=tri://127.0.0.1:"+port, "application=java-consumer")
		answer = consumer.tell("streams " + word)
		consumer.stop()
		provider.stop()
		controls.Store(key, answer)
	}
	return slices.ContainsFunc(answer.([]string), func(line string) bool { return strings.HasPrefix(line, "CELL "+name+" FAIL") })
}

type streamCell struct {
	name string
	run  func(context.Context) error
}

func (x *streamCells) all() []streamCell {
	return slices.Concat(x.plain(), x.hard(), x.messages(), x.shop.all())
}

func (x *streamCells) plain() []streamCell {
	count := func(word string, messages ...string) func(context.Context) error {
		return func(ctx context.Context) error { return came(x.streams.Count(ctx, word), messages...) }
	}
	return []streamCell{
		{"streams/server", count("3", "n0", "n1", "n2")}, {"streams/server, no message", count("0")},
		{"streams/server, 1000 messages", func(ctx context.Context) error { return numbered(x.streams.Count(ctx, fmt.Sprint(many))) }},
		{"streams/server, fails in the middle", x.halfWay}, {"streams/server, objects", x.people},
		{"streams/bidirectional", func(ctx context.Context) error {
			return came(x.streams.Talk(ctx, of("a", "中😀", "")), "a", "中😀", "")
		}},
		{"streams/bidirectional, objects", func(ctx context.Context) error {
			return came(x.streams.Meet(ctx, of(ann(1), ann(2))), ann(2), ann(3))
		}},
		{"streams/bidirectional, fails in the middle", x.failing},
		{"streams/client", func(ctx context.Context) error { return equal("a,b,c")(x.streams.Collect(ctx, of("a", "b", "c"))) }},
		{"streams/given up by the consumer", x.cut},
	}
}

// of is a stream of messages.
func of[T any](messages ...T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, m := range messages {
			if !yield(m, nil) {
				return
			}
		}
	}
}

// values are the texts of a stream.
func values(in iter.Seq2[*wrapperspb.StringValue, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for m, err := range in {
			if !yield(m.GetValue(), err) {
				return
			}
		}
	}
}

// came holds a stream to its messages.
func came[T any](stream iter.Seq2[T, error], messages ...T) error {
	var got []T
	for m, err := range stream {
		if err != nil {
			return fmt.Errorf("after %d messages: %w", len(got), err)
		}
		got = append(got, m)
	}
	return want(messages, got, nil)
}

func ann(age int32) *fleet.Person {
	return &fleet.Person{Name: "Ann", Age: age, Favourite: "GREEN", Tags: []string{"x", "中"}}
}

func (x *streamCells) people(ctx context.Context) error {
	var all []*fleet.Person
	for i := range int32(10) {
		all = append(all, ann(30+i))
	}
	return came(x.streams.People(ctx, ann(30)), all...)
}

// broken takes a stream that ends with a failure.
func broken(stream iter.Seq2[string, error], text string, messages ...string) error {
	var got []string
	for m, err := range stream {
		if err == nil {
			got = append(got, m)
			continue
		}
		if !strings.Contains(err.Error(), text) {
			return fmt.Errorf("wrong failure: %w", err)
		}
		return want(messages, got, nil)
	}
	return fmt.Errorf("nothing failed after %q", got)
}

func (x *streamCells) halfWay(ctx context.Context) error {
	return broken(x.streams.Count(ctx, "2:half way"), "half way", "n0", "n1")
}

func (x *streamCells) failing(ctx context.Context) error {
	heard := make(chan struct{})
	words := func(yield func(string, error) bool) {
		if !yield("a", nil) {
			return
		}
		select { // the failure comes behind the answer
		case <-heard:
		case <-ctx.Done():
		}
		yield("fail", nil)
	}
	return broken(func(yield func(string, error) bool) {
		for m, err := range x.streams.Talk(ctx, words) {
			if m == "a" {
				close(heard)
			}
			if !yield(m, err) {
				return
			}
		}
	}, "told to fail", "a")
}

func (x *streamCells) cut(ctx context.Context) error {
	before, err := x.streams.Cut(ctx)
	if err != nil {
		return err
	}
	for m, err := range x.streams.Count(ctx, "endless") {
		if err = want("n0", m, err); err != nil {
			return err
		}
		break
	}
	return x.ended(ctx, before)
}
