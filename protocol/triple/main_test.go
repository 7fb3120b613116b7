package triple_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/gen/gentest/streamtest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/protocol/triple"
)

// gnet, which package ferry brings along, starts goroutines before main.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// streamer serves methods of every kind. Channels of a test's own show what its handlers see.
type streamer struct {
	hold  chan struct{} // Greet of "hold" waits for it
	seen  chan string
	ended chan error // a handler's context or stream has ended
}

func newStreamer() *streamer {
	return &streamer{hold: make(chan struct{}), seen: make(chan string, 10000), ended: make(chan error, 100)}
}

func (s *streamer) Greet(ctx context.Context, name string) (string, error) {
	switch name {
	case "fail":
		return "", errors.New("no such name")
	case "status":
		return "", &triple.Status{Code: triple.NotFound, Message: "nobody ☺\n"}
	case "panic":
		panic("in the handler")
	case "hold":
		s.seen <- name
		<-s.hold
	case "wait":
		s.seen <- name
		<-ctx.Done()
		s.ended <- ctx.Err()
		return "", ctx.Err()
	case "attachment":
		in := protocol.IncomingAttachments(ctx)
		protocol.SetReplyAttachment(ctx, "Back", in.Value("Forth"))
		protocol.SetReplyAttachment(ctx, "raw-bin", in.Value("raw-bin"))
		triple.SetHeader(ctx, "ahead", "1")
		return protocol.Peer(ctx).String(), nil
	case "large":
		return strings.Repeat("x", 2<<20), nil
	}
	return "hello " + name, nil
}

func (s *streamer) Add(_ context.Context, a, b int64) (int64, error) { return a + b, nil }

func (s *streamer) Put(_ context.Context, item *streamtest.Item) error {
	s.seen <- item.Name
	return nil
}

func (s *streamer) Count(ctx context.Context, from, to int32) iter.Seq2[int32, error] {
	return func(yield func(int32, error) bool) {
		for i := from; i < to; i++ {
			if !yield(i, nil) {
				s.ended <- ctx.Err()
				return
			}
		}
	}
}

func (s *streamer) Items(_ context.Context, name string) iter.Seq2[*streamtest.Item, error] {
	return func(yield func(*streamtest.Item, error) bool) {
		big := strings.Repeat(name, 64<<10)
		for i := range int32(1000) {
			s.seen <- "sent"
			if !yield(&streamtest.Item{Name: big, Count: i}, nil) {
				s.ended <- errors.New("stopped")
				return
			}
		}
	}
}

func (s *streamer) Ticks(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if yield("tick", nil) {
			yield("", errors.New("out of ticks"))
		}
	}
}

func (s *streamer) Sum(ctx context.Context, items iter.Seq2[*streamtest.Item, error]) (sum int64, err error) {
	for item, err := range items {
		if err != nil {
			s.ended <- err
			return 0, err
		}
		if item.Name == "enough" {
			return sum, nil
		}
		sum += int64(item.Count)
	}
	return sum, nil
}

func (s *streamer) Talk(ctx context.Context, words iter.Seq2[string, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for w, err := range words {
			if err != nil {
				s.ended <- err
				yield("", err)
				return
			}
			if w == "fail" {
				yield("", &triple.Status{Code: triple.Aborted, Message: "bad word"})
				return
			}
			if !yield("re: "+w, nil) {
				return
			}
		}
		yield("bye", nil)
	}
}

// serve starts a provider and returns its address.
func serve(t *testing.T, impl *streamer, options ...ferry.Option) string {
	s := ferry.NewServer("", append([]ferry.Option{ferry.Param("protocol", "tri"), ferry.Param("host", "127.0.0.1")}, options...)...)
	require.NoError(t, streamtest.ExportStreamer(s, impl))
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Close(ctx)
	})
	return s.URLs()[0].Address()
}

// refer returns a consumer of the provider at an address, and what its calls brought back.
func refer(t *testing.T, address string, options ...ferry.Option) (streamtest.Streamer, *atomic.Pointer[protocol.Attachments]) {
	c := &ferry.Client{}
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	require.NoError(t, streamtest.RegisterStreamerTypes(c.Types()))
	ref, err := c.Refer(streamtest.StreamerService, append([]ferry.Option{ferry.Direct("tri://" + address), ferry.Param("timeout", "20s"), ferry.Param("shutdown", "1s")}, options...)...)
	require.NoError(t, err)
	back := new(atomic.Pointer[protocol.Attachments])
	return streamtest.NewStreamer(protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
		err := ref.Invoke(ctx, c)
		a := c.ReplyAttachments
		back.Store(&a)
		return err
	})), back
}

// failure checks what an error says.
func failure(t *testing.T, err error, code protocol.Code, outcome protocol.Outcome) *protocol.Error {
	t.Helper()
	var e *protocol.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, "%v", err)
	require.Equal(t, outcome, e.Outcome, "%v", err)
	require.NotContains(t, err.Error(), "\n")
	return e
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
