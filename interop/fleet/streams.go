package fleet

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync/atomic"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/interop/fleet/proto"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/protocol/triple"
)

// StreamAPI has Java's streams, whose observers are iterators here. Its Java namesake says what the words do.
//
//ferry:service com.ferry.interop.StreamApi
type StreamAPI interface {
	Count(ctx context.Context, word string) iter.Seq2[string, error]
	People(ctx context.Context, first *Person) iter.Seq2[*Person, error]
	Talk(ctx context.Context, words iter.Seq2[string, error]) iter.Seq2[string, error]
	Meet(ctx context.Context, people iter.Seq2[*Person, error]) iter.Seq2[*Person, error]
	Collect(ctx context.Context, words iter.Seq2[string, error]) (string, error)
	Cut(ctx context.Context) (int32, error)
}

// PublishStreams exports StreamAPI and the service of protobuf messages.
func PublishStreams(s *ferry.Server) error {
	return errors.Join(ExportStreamAPI(s, new(streams)), proto.ExportProtoApi(s, greeter{}))
}

type streams struct{ cut atomic.Int32 }

func (s *streams) Count(_ context.Context, word string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		n, message, fails := strings.Cut(word, ":")
		most, err := strconv.Atoi(n)
		for i := 0; word == "endless" || err == nil && i < most; i++ {
			if !yield(fmt.Sprint("n", i), nil) {
				s.cut.Add(1)
				return
			}
		}
		if fails {
			yield("", errors.New(message))
		}
	}
}

func (*streams) People(_ context.Context, first *Person) iter.Seq2[*Person, error] {
	return func(yield func(*Person, error) bool) {
		for i := range int32(10) {
			p := *first
			p.Age += i
			if !yield(&p, nil) {
				return
			}
		}
	}
}

func (*streams) Talk(_ context.Context, words iter.Seq2[string, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for word, err := range words {
			if word == "fail" {
				yield("", errors.New("told to fail"))
				return
			}
			if !yield(word, err) {
				return
			}
		}
	}
}

func (*streams) Meet(_ context.Context, people iter.Seq2[*Person, error]) iter.Seq2[*Person, error] {
	return func(yield func(*Person, error) bool) {
		for p, err := range people {
			if p != nil {
				p.Age++
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

func (*streams) Collect(_ context.Context, words iter.Seq2[string, error]) (string, error) {
	var all []string
	for word, err := range words {
		if err != nil {
			return "", err
		}
		all = append(all, word)
	}
	return strings.Join(all, ","), nil
}

func (s *streams) Cut(context.Context) (int32, error) { return s.cut.Load(), nil }

// greeter is the service of protobuf messages.
type greeter struct{}

// Greet fails for "fail", and for "colour" sends that attachment back.
func (greeter) Greet(ctx context.Context, name *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	switch name.Value {
	case "fail":
		return nil, &triple.Status{Code: triple.NotFound, Message: "nobody is called fail"}
	case "colour":
		colour := ferry.Attachments(ctx).Value("colour")
		protocol.SetReplyAttachment(ctx, "reply-colour", "got "+colour)
		return wrapperspb.String(colour), nil
	}
	return wrapperspb.String("hello " + name.Value), nil
}

func (greeter) Count(_ context.Context, n *wrapperspb.Int32Value) iter.Seq2[*wrapperspb.StringValue, error] {
	return func(yield func(*wrapperspb.StringValue, error) bool) {
		for i := range n.Value {
			if !yield(wrapperspb.String(fmt.Sprint("n", i)), nil) {
				return
			}
		}
	}
}

func (greeter) Talk(_ context.Context, words iter.Seq2[*wrapperspb.StringValue, error]) iter.Seq2[*wrapperspb.StringValue, error] {
	return words
}
