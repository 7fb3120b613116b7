package fleet

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/interop/fleet/idl"
	"github.com/ferryrpc/ferry/interop/fleet/proto"
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
	Attached(ctx context.Context, key string) iter.Seq2[string, error]
	Bytes(ctx context.Context, all iter.Seq2[[]byte, error]) iter.Seq2[[]byte, error]
	Teams(ctx context.Context, teams iter.Seq2[map[string]*Person, error]) iter.Seq2[map[string]*Person, error]
	Cut(ctx context.Context) (int32, error)
}

// PublishStreams exports StreamAPI and the services of protobuf messages.
func PublishStreams(s *ferry.Server) error {
	return errors.Join(ExportStreamAPI(s, new(streams)), proto.ExportProtoApi(s, greeter{}), idl.ExportShop(s, shop{}))
}

type streams struct{ cut atomic.Int32 }

func (s *streams) Count(_ context.Context, word string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if word == "throw" {
			yield("", errors.New("not even begun"))
			return
		}
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

func (s *streams) Talk(_ context.Context, words iter.Seq2[string, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for word, err := range words {
			if err != nil {
				s.cut.Add(1)
			}
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

func (*streams) Attached(ctx context.Context, key string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield(ferry.Attachments(ctx).Value(key), nil) }
}

func (*streams) Bytes(_ context.Context, all iter.Seq2[[]byte, error]) iter.Seq2[[]byte, error] {
	return all
}

func (*streams) Teams(_ context.Context, teams iter.Seq2[map[string]*Person, error]) iter.Seq2[map[string]*Person, error] {
	return func(yield func(map[string]*Person, error) bool) {
		for team, err := range teams {
			for _, p := range team {
				p.Age++
			}
			if !yield(team, err) {
				return
			}
		}
	}
}

func (s *streams) Cut(context.Context) (int32, error) { return s.cut.Load(), nil }
