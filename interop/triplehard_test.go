package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/ferryrpc/ferry/interop/fleet"
	"github.com/ferryrpc/ferry/interop/fleet/proto"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/protocol/triple"
)

// hard are cells of streams that are long, large, many, or badly ended.
func (x *streamCells) hard() []streamCell {
	return []streamCell{
		{"streams/server, fails before its first message", func(ctx context.Context) error {
			return broken(x.streams.Count(ctx, "throw"), "not even begun")
		}},
		{"streams/server, an attachment", func(ctx context.Context) error {
			return came(x.streams.Attached(protocol.WithAttachment(ctx, "colour", "blau"), "colour"), "blau")
		}},
		{"streams/server, 50 at once", x.atOnce},
		{"streams/server, the consumer's time is up", x.late},
		{"streams/bidirectional, 1000 messages", func(ctx context.Context) error {
			return numbered(x.streams.Talk(ctx, numbers()))
		}},
		{"streams/bidirectional, 20 messages of 1 MiB", x.large},
		{"streams/bidirectional, maps of objects", func(ctx context.Context) error {
			return came(x.streams.Teams(ctx, of(map[string]*fleet.Person{"中": ann(1)}, map[string]*fleet.Person{})), map[string]*fleet.Person{"中": ann(2)}, map[string]*fleet.Person{})
		}},
		{"streams/bidirectional, given up by the consumer", func(ctx context.Context) error { return x.leave(ctx, nil) }},
		{"streams/bidirectional, the consumer fails", func(ctx context.Context) error { return x.leave(ctx, errors.New("enough")) }},
	}
}

const many = 1000

func numbers() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for i := range many {
			if !yield(fmt.Sprint("n", i), nil) {
				return
			}
		}
	}
}

// numbered holds a stream to numbers.
func numbered(stream iter.Seq2[string, error]) error {
	n := 0
	for m, err := range stream {
		if err = want(fmt.Sprint("n", n), m, err); err != nil {
			return err
		}
		n++
	}
	return want(many, n, nil)
}

func (x *streamCells) atOnce(ctx context.Context) error {
	var all sync.WaitGroup
	var bad [50]error
	for i := range bad {
		all.Go(func() { bad[i] = numbered(x.streams.Count(ctx, fmt.Sprint(many))) })
	}
	all.Wait()
	return errors.Join(bad[:]...)
}

func (x *streamCells) large(ctx context.Context) error {
	var all [][]byte
	for i := range 20 {
		all = append(all, bytes.Repeat([]byte{byte(i)}, 1<<20))
	}
	return came(x.streams.Bytes(ctx, of(all...)), all...)
}

// late has a stream without an end, and a deadline.
func (x *streamCells) late(ctx context.Context) error {
	before, err := x.streams.Cut(ctx)
	if err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	for _, err = range x.streams.Count(short, "endless") {
		if err != nil {
			break
		}
	}
	if e := (*protocol.Error)(nil); !errors.As(err, &e) || e.Code != protocol.Timeout {
		return fmt.Errorf("wrong failure: %w", err)
	}
	return x.ended(ctx, before)
}

// leave leaves a stream whose other side waits for the next message: as its caller, or with a failure as the next message.
func (x *streamCells) leave(ctx context.Context, failure error) error {
	before, err := x.streams.Cut(ctx)
	if err != nil {
		return err
	}
	heard := make(chan struct{})
	words := func(yield func(string, error) bool) {
		if !yield("a", nil) {
			return
		}
		select {
		case <-heard:
		case <-ctx.Done():
		}
		if failure != nil {
			yield("", failure)
		}
	}
	var last error
	for m, err := range x.streams.Talk(ctx, words) {
		if err != nil {
			last = err
			break
		}
		if err = want("a", m, nil); err != nil {
			return err
		}
		if failure == nil {
			break
		}
		close(heard)
	}
	if failure != nil && !errors.Is(last, failure) {
		return fmt.Errorf("wrong failure: %w", last)
	}
	return x.ended(ctx, before)
}

// ended waits until the provider has seen one more stream end.
func (x *streamCells) ended(ctx context.Context, before int32) error {
	return eventually(func() error {
		if n, err := x.streams.Cut(ctx); err != nil || n != before+1 {
			return fmt.Errorf("the provider saw %d ends, %w", n-before, err)
		}
		return nil
	})
}

// messages are cells with messages of protobuf.
func (x *streamCells) messages() []streamCell {
	return []streamCell{
		{"protobuf/unary", func(ctx context.Context) error { return x.greet(ctx, "Mia", "hello Mia") }},
		{"protobuf/unary, 3 MiB", func(ctx context.Context) error {
			name := strings.Repeat("x", 3<<20)
			return x.greet(ctx, name, "hello "+name)
		}},
		{"protobuf/attachments both ways", x.attachments},
		{"protobuf/failure with code and text", x.status},
		{"protobuf/each code of gRPC", x.codes},
		{"protobuf/server stream", func(ctx context.Context) error {
			return came(values(x.proto.Count(ctx, wrapperspb.Int32(2))), "n0", "n1")
		}},
		{"protobuf/server stream, each code of gRPC", x.streamCodes},
		{"protobuf/bidirectional stream", func(ctx context.Context) error {
			return came(values(x.proto.Talk(ctx, of(wrapperspb.String("a"), wrapperspb.String("b")))), "a", "b")
		}},
		{"protobuf/bidirectional stream, failure with code and text", x.talkFails},
	}
}

func (x *streamCells) greet(ctx context.Context, name, reply string) error {
	got, err := x.proto.Greet(ctx, wrapperspb.String(name))
	return want(reply, got.GetValue(), err)
}

func (x *streamCells) attachments(ctx context.Context) error {
	call := proto.ProtoApiService.Methods[0].New()
	call.Args.At(0).(*wrapperspb.StringValue).Value = "colour"
	err := x.ref.Invoke(protocol.WithAttachment(ctx, "colour", "blau"), call)
	return errors.Join(want("blau", call.Reply.At(0).(*wrapperspb.StringValue).Value, err), want("got blau", call.ReplyAttachments.Value("reply-colour"), nil))
}

func (x *streamCells) status(ctx context.Context) error {
	_, err := x.proto.Greet(ctx, wrapperspb.String("fail"))
	return coded(err, triple.NotFound, "nobody is called fail")
}

// coded holds an error to a code and a text.
func coded(err error, code triple.Code, text string) error {
	var s *triple.Status
	if !errors.As(err, &s) || s.Code != code || !strings.HasSuffix(s.Message, text) { // 3.3 puts the code's name in front
		return fmt.Errorf("code %d came as: %w", code, err)
	}
	return nil
}

func (x *streamCells) codes(ctx context.Context) error {
	var bad []error
	for code := triple.Canceled; code <= triple.Unauthenticated; code++ {
		_, err := x.proto.Greet(ctx, wrapperspb.String(fmt.Sprint("code:", int(code))))
		bad = append(bad, coded(err, code, fmt.Sprint("the text of ", int(code))))
	}
	return errors.Join(bad...)
}

// brokenWith takes a stream that ends with a code behind one message.
func brokenWith(stream iter.Seq2[*wrapperspb.StringValue, error], message string, code triple.Code) error {
	var got []string
	for m, err := range values(stream) {
		if err != nil {
			return errors.Join(coded(err, code, fmt.Sprint("the text of ", int(code))), want([]string{message}, got, nil))
		}
		got = append(got, m)
	}
	return fmt.Errorf("nothing failed after %q", got)
}

func (x *streamCells) streamCodes(ctx context.Context) error {
	var bad []error
	for code := triple.Canceled; code <= triple.Unauthenticated; code++ {
		bad = append(bad, brokenWith(x.proto.Count(ctx, wrapperspb.Int32(-int32(code))), "n0", code))
	}
	return errors.Join(bad...)
}

func (x *streamCells) talkFails(ctx context.Context) error {
	heard := make(chan struct{})
	words := func(yield func(*wrapperspb.StringValue, error) bool) {
		if !yield(wrapperspb.String("a"), nil) {
			return
		}
		select { // the failure comes behind the answer
		case <-heard:
		case <-ctx.Done():
		}
		yield(wrapperspb.String("code:7"), nil)
	}
	return brokenWith(func(yield func(*wrapperspb.StringValue, error) bool) {
		for m, err := range x.proto.Talk(ctx, words) {
			if err == nil {
				close(heard)
			}
			if !yield(m, err) {
				return
			}
		}
	}, "a", triple.PermissionDenied)
}
