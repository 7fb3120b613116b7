package triple_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/gen/gentest/streamtest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/protocol/triple"
)

func of[T any](values ...T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range values {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// collect ranges over a stream to its end.
func collect[T any](seq iter.Seq2[T, error]) (got []T, err error) {
	for v, e := range seq {
		if e != nil {
			err = e
			continue
		}
		got = append(got, v)
	}
	return got, err
}

// TestStreams: methods of every kind, and a service error in the middle.
func TestStreams(t *testing.T) {
	impl := newStreamer()
	c, _ := refer(t, serve(t, impl))
	got, err := collect(c.Count(t.Context(), 3, 300))
	require.NoError(t, err)
	require.Len(t, got, 297)
	require.Equal(t, int32(299), got[296])
	got, err = collect(c.Count(t.Context(), 3, 3))
	require.NoError(t, err)
	require.Empty(t, got)

	ticks, err := collect(c.Ticks(t.Context()))
	require.Equal(t, []string{"tick"}, ticks)
	require.Contains(t, failure(t, err, protocol.Application, protocol.Executed).Message, "out of ticks")

	sum, err := c.Sum(t.Context(), of(&streamtest.Item{Count: 1}, &streamtest.Item{Count: 41}))
	require.NoError(t, err)
	require.Equal(t, int64(42), sum)
	sum, err = c.Sum(t.Context(), of[*streamtest.Item]())
	require.NoError(t, err)
	require.Zero(t, sum)

	words, err := collect(c.Talk(t.Context(), of("a", "b")))
	require.NoError(t, err)
	require.Equal(t, []string{"re: a", "re: b", "bye"}, words, "half-closed, it still answers")
	words, err = collect(c.Talk(t.Context(), of("a", "fail", "b")))
	require.Equal(t, []string{"re: a"}, words)
	failure(t, err, protocol.Application, protocol.Executed)
	var s *triple.Status
	require.ErrorAs(t, err, &s)
	require.Equal(t, triple.Aborted, s.Code)
}

// TestServerStopsReading: a reply that comes before the last request ends the call well.
func TestServerStopsReading(t *testing.T) {
	c, _ := refer(t, serve(t, newStreamer()))
	sum, err := c.Sum(t.Context(), func(yield func(*streamtest.Item, error) bool) {
		yield(&streamtest.Item{Count: 7}, nil)
		for yield(&streamtest.Item{Name: "enough"}, nil) {
		}
	})
	require.NoError(t, err)
	require.Equal(t, int64(7), sum)
}

// TestFlowControl: a provider is not further ahead than its consumer's window, and stops when the consumer leaves.
func TestFlowControl(t *testing.T) {
	impl := newStreamer()
	c, _ := refer(t, serve(t, impl))
	n := 0
	for item, err := range c.Items(t.Context(), "x") {
		require.NoError(t, err)
		require.Equal(t, int32(n), item.Count)
		if n++; n == 3 {
			break
		}
	}
	require.EqualError(t, <-impl.ended, "stopped")
	require.Less(t, len(impl.seen), 200, "64 KiB each: the windows hold a few MiB")
}

// TestCancelledStreams: either side learns that the other gave up.
func TestCancelledStreams(t *testing.T) {
	impl := newStreamer()
	c, _ := refer(t, serve(t, impl))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	over := make(chan struct{})
	defer close(over)
	forever := func(yield func(string, error) bool) {
		yield("a", nil)
		<-over
	}
	var last error
	for _, err := range c.Talk(ctx, forever) {
		last = err
		cancel()
	}
	failure(t, last, protocol.Canceled, protocol.OutcomeUnknown)
	require.ErrorIs(t, <-impl.ended, context.Canceled)

	own := errors.New("the consumer's own")
	_, err := c.Sum(t.Context(), func(yield func(*streamtest.Item, error) bool) {
		yield(&streamtest.Item{Count: 7}, nil)
		yield(nil, own)
	})
	require.ErrorIs(t, failure(t, err, protocol.Canceled, protocol.OutcomeUnknown), own)
	require.Error(t, <-impl.ended)

	_, err = collect(c.Talk(within(t, 50*time.Millisecond), forever))
	failure(t, err, protocol.Timeout, protocol.OutcomeUnknown)
	require.Error(t, <-impl.ended)
}

// TestStreamsAreNotRepeated: once a message was exchanged, another provider gets nothing of it.
func TestStreamsAreNotRepeated(t *testing.T) {
	one, requests := raw(t, func([4]byte) []byte { return nil })
	two, more := raw(t, func([4]byte) []byte { return nil })
	c, _ := refer(t, one+","+two, ferry.Param("retries", "5"))
	_, err := collect(c.Talk(t.Context(), of("a")))
	failure(t, err, protocol.Network, protocol.OutcomeUnknown)
	require.EqualValues(t, 1, requests.Load()+more.Load())
	_, err = collect(c.Ticks(t.Context())) // nothing of it has come, and retries is set
	failure(t, err, protocol.Network, protocol.OutcomeUnknown)
	require.Greater(t, requests.Load()+more.Load(), int64(2))

	client := &ferry.Client{}
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	ref, err := client.Refer(streamtest.StreamerService, ferry.Direct("tri://"+serve(t, newStreamer())))
	require.NoError(t, err)
	for _, m := range streamtest.StreamerService.Methods { // as clusters that copy calls would make it
		if m.Streams() {
			require.ErrorContains(t, failure(t, ref.Invoke(t.Context(), m.New()), protocol.Serialization, protocol.NotSent), "failover, failfast")
		}
	}
	other, _ := refer(t, one, ferry.Direct("dubbo://"+one))
	_, err = collect(other.Ticks(t.Context()))
	require.ErrorContains(t, failure(t, err, protocol.Serialization, protocol.NotSent), "tri has")
}

// TestBadStreams: damaged messages in the middle end their own call.
func TestBadStreams(t *testing.T) {
	impl := newStreamer()
	address := serve(t, impl, ferry.Param("payload", "1000"))
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: &protocols}}
	defer client.CloseIdleConnections()
	for name, body := range map[string]string{
		"garbage":   "\x00\x00\x00\x00\x03\xff\xff\xff",
		"too large": "\x00\x00\x10\x00\x00",
		"truncated": "\x00\x00\x00\x00\x09abc",
		"flag":      "\x02\x00\x00\x00\x00",
		"gzip":      "\x01\x00\x00\x00\x01x",
	} {
		for _, method := range []string{"talk", "sum", "ticks", "greet"} {
			resp, err := client.Post("http://"+address+"/com.example.Streamer/"+method, "application/grpc", strings.NewReader(body))
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			_ = resp.Body.Close()
			require.Equal(t, 200, resp.StatusCode)
			status := resp.Header.Get("Grpc-Status") + resp.Trailer.Get("Grpc-Status")
			require.NotEqual(t, "0", status, "%s %s", name, method)
			require.NotEmpty(t, status, "%s %s", name, method)
		}
	}
	c, _ := refer(t, address)
	words, err := collect(c.Talk(t.Context(), of("a")))
	require.NoError(t, err)
	require.Len(t, words, 2)
}
