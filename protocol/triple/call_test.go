package triple_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/gen/gentest/streamtest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/protocol/triple"
)

// TestWrapped: calls whose arguments travel in a serialization.
func TestWrapped(t *testing.T) {
	for _, format := range []string{"hessian2", "msgpack", "json"} {
		t.Run(format, func(t *testing.T) {
			impl := newStreamer()
			c, back := refer(t, serve(t, impl, ferry.Param("serialization", format)), ferry.Param("serialization", format))
			r, err := c.Greet(t.Context(), "Ünï")
			require.NoError(t, err)
			require.Equal(t, "hello Ünï", r)
			sum, err := c.Add(t.Context(), 1<<40, -1)
			require.NoError(t, err)
			require.Equal(t, int64(1<<40-1), sum)
			require.NoError(t, c.Put(t.Context(), &streamtest.Item{Name: "thing", Count: 3}))
			require.Equal(t, "thing", <-impl.seen)

			ctx := protocol.WithAttachment(protocol.WithAttachment(t.Context(), "Forth", "there and ☺"), "raw-bin", "\x00\xff\n")
			peer, err := c.Greet(ctx, "attachment")
			require.NoError(t, err)
			require.Contains(t, peer, "127.0.0.1:")
			require.Equal(t, "there and ☺", back.Load().Value("Back"))
			require.Equal(t, "\x00\xff\n", back.Load().Value("raw-bin"))
			require.Equal(t, "1", back.Load().Value("ahead"))
		})
	}
}

// TestFailures: what is known after each failure.
func TestFailures(t *testing.T) {
	impl := newStreamer()
	address := serve(t, impl, ferry.Param("payload", "1048576"), ferry.Param("token", "secret"))
	c, _ := refer(t, address, ferry.Param("token", "secret"))

	_, err := c.Greet(t.Context(), "fail")
	e := failure(t, err, protocol.Application, protocol.Executed)
	require.Equal(t, "no such name", e.Message)
	require.Equal(t, "java.lang.RuntimeException", e.Class)

	_, err = c.Greet(t.Context(), "status")
	failure(t, err, protocol.Application, protocol.Executed)
	var s *triple.Status
	require.ErrorAs(t, err, &s)
	require.Equal(t, &triple.Status{Code: triple.NotFound, Message: "nobody ☺\n"}, s)

	_, err = c.Greet(t.Context(), "panic")
	require.Contains(t, failure(t, err, protocol.Application, protocol.Executed).Message, "in the handler")

	_, err = c.Greet(t.Context(), "large")
	require.Contains(t, failure(t, err, protocol.LimitExceeded, protocol.Executed).Message, "the limit is 1048576")
	_, err = c.Greet(t.Context(), strings.Repeat("x", 2<<20))
	require.Contains(t, failure(t, err, protocol.LimitExceeded, protocol.NotStarted).Message, "the limit is 1048576")

	_, err = c.Greet(within(t, 50*time.Millisecond), "wait")
	failure(t, err, protocol.Timeout, protocol.OutcomeUnknown)
	require.Error(t, <-impl.ended, "the handler's context has ended")

	ctx, cancel := context.WithCancel(t.Context())
	<-impl.seen
	go func() { <-impl.seen; cancel() }()
	_, err = c.Greet(ctx, "wait")
	failure(t, err, protocol.Canceled, protocol.OutcomeUnknown)
	require.ErrorIs(t, <-impl.ended, context.Canceled)

	_, err = c.Greet(protocol.WithAttachment(t.Context(), "bad", "a\nb"), "x")
	failure(t, err, protocol.Serialization, protocol.NotSent)

	stranger, _ := refer(t, address)
	_, err = stranger.Greet(t.Context(), "x")
	failure(t, err, protocol.Forbidden, protocol.NotStarted)
	small, _ := refer(t, address, ferry.Param("payload", "1000"), ferry.Param("token", "secret"))
	_, err = small.Greet(t.Context(), strings.Repeat("x", 2000))
	failure(t, err, protocol.Serialization, protocol.NotSent)
	small, _ = refer(t, serve(t, impl), ferry.Param("payload", "1000"))
	_, err = small.Greet(t.Context(), "large")
	require.Contains(t, failure(t, err, protocol.Serialization, protocol.Executed).Error(), "too large")
	other, _ := refer(t, address, ferry.Param("version", "7"), ferry.Param("token", "secret"))
	_, err = other.Greet(t.Context(), "x")
	require.Contains(t, failure(t, err, protocol.Network, protocol.NotStarted).Message, `version "7"`)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	nobody, _ := refer(t, l.Addr().String(), ferry.Check(false))
	_, err = nobody.Greet(t.Context(), "x")
	require.Equal(t, protocol.NotSent, protocol.OutcomeOf(err))
}

// raw is a server of few frames: after each request's header it answers with what reply makes of the stream's id.
func raw(t *testing.T, reply func(id [4]byte) []byte) (address string, requests *atomic.Int64) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	requests = new(atomic.Int64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				preface := make([]byte, 24)
				_, _ = io.ReadFull(conn, preface)
				_, _ = conn.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}) // SETTINGS
				for {
					var h [9]byte
					if _, err := io.ReadFull(conn, h[:]); err != nil {
						return
					}
					if _, err := io.CopyN(io.Discard, conn, int64(h[0])<<16|int64(h[1])<<8|int64(h[2])); err != nil {
						return
					}
					if h[3] != 1 { // HEADERS
						continue
					}
					requests.Add(1)
					b := reply([4]byte(h[5:9]))
					if b == nil {
						return
					}
					_, _ = conn.Write(b)
				}
			}()
		}
	}()
	return l.Addr().String(), requests
}

// TestProvenNotStarted: a provider that refuses a stream, or leaves it out of its GOAWAY, has not begun.
func TestProvenNotStarted(t *testing.T) {
	for name, reply := range map[string]func(id [4]byte) []byte{
		"REFUSED_STREAM": func(id [4]byte) []byte { return append(append([]byte{0, 0, 4, 3, 0}, id[:]...), 0, 0, 0, 7) },
		"GOAWAY":         func([4]byte) []byte { return []byte{0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} },
	} {
		t.Run(name, func(t *testing.T) {
			address, requests := raw(t, reply)
			c, _ := refer(t, address, ferry.Param("retries", "0"))
			_, err := c.Greet(t.Context(), "x")
			failure(t, err, protocol.Network, protocol.NotStarted)
			require.EqualValues(t, 3, requests.Load(), "it is tried again at once")
		})
	}
	t.Run("lost", func(t *testing.T) {
		address, requests := raw(t, func([4]byte) []byte { return nil })
		c, _ := refer(t, address, ferry.Param("retries", "0"))
		_, err := c.Greet(t.Context(), "x")
		failure(t, err, protocol.Network, protocol.OutcomeUnknown)
		require.EqualValues(t, 1, requests.Load())
	})
	t.Run("reset", func(t *testing.T) {
		address, requests := raw(t, func(id [4]byte) []byte { return append(append([]byte{0, 0, 4, 3, 0}, id[:]...), 0, 0, 0, 2) })
		c, _ := refer(t, address, ferry.Param("retries", "0"))
		_, err := c.Greet(t.Context(), "x")
		failure(t, err, protocol.Network, protocol.OutcomeUnknown)
		require.EqualValues(t, 1, requests.Load())
	})
}

// TestOtherAnswers: of servers that are no gRPC, and of gRPC servers that say less than Ferry's.
func TestOtherAnswers(t *testing.T) {
	var answer atomic.Pointer[http.HandlerFunc]
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &http.Server{Protocols: &protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) })}
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	c, _ := refer(t, l.Addr().String(), ferry.Param("retries", "0"))
	grpc := func(status, more string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", status)
			w.Header().Set("Grpc-Message", more)
		}
	}
	body := func(b string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			_, _ = io.WriteString(w, b)
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		}
	}
	for _, k := range []struct {
		name    string
		h       http.HandlerFunc
		code    protocol.Code
		outcome protocol.Outcome
	}{
		{"unavailable", grpc("14", "later"), protocol.Network, protocol.OutcomeUnknown},
		{"unimplemented", grpc("12", ""), protocol.Network, protocol.NotStarted},
		{"exhausted", grpc("8", ""), protocol.LimitExceeded, protocol.OutcomeUnknown},
		{"not found", grpc("5", ""), protocol.Application, protocol.Executed},
		{"denied", grpc("7", ""), protocol.Forbidden, protocol.Executed},
		{"late", grpc("4", ""), protocol.Timeout, protocol.OutcomeUnknown},
		{"Dubbo's own", grpc("2", "Internal Server Error"), protocol.Unknown, protocol.OutcomeUnknown},
		{"unknown number", grpc("99", ""), protocol.Application, protocol.Executed},
		{"no number", grpc("x", ""), protocol.Network, protocol.OutcomeUnknown},
		{"HTTP 503", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, protocol.Network, protocol.OutcomeUnknown},
		{"HTTP 404", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, protocol.Network, protocol.NotStarted},
		{"a page", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, protocol.Application, protocol.Executed},
		{"no message", body(""), protocol.Serialization, protocol.Executed},
		{"garbage", body("\x00\x00\x00\x00\x03\xff\xff\xff"), protocol.Serialization, protocol.Executed},
		{"flag", body("\x07\x00\x00\x00\x00"), protocol.Serialization, protocol.Executed},
		{"too long", body("\x00\xff\xff\xff\xff"), protocol.Serialization, protocol.Executed},
		{"two messages", body("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), protocol.Serialization, protocol.Executed},
	} {
		t.Run(k.name, func(t *testing.T) {
			answer.Store(&k.h)
			_, err := c.Greet(t.Context(), "x")
			failure(t, err, k.code, k.outcome)
		})
	}
}

// TestShutdown: a provider that closes finishes what runs, and what comes later did certainly not start.
func TestShutdown(t *testing.T) {
	impl := newStreamer()
	s := ferry.NewServer("", ferry.Param("protocol", "tri"), ferry.Param("host", "127.0.0.1"))
	require.NoError(t, streamtest.ExportStreamer(s, impl))
	c, _ := refer(t, s.URLs()[0].Address(), ferry.Param("retries", "0"))
	held := make(chan error, 1)
	go func() {
		_, err := c.Greet(t.Context(), "hold")
		held <- err
	}()
	<-impl.seen
	closed := make(chan error, 1)
	go func() { closed <- s.Close(within(t, 6*time.Second)) }()
	for {
		_, err := c.Greet(t.Context(), "x")
		if err == nil {
			continue // it serves until it is quiet, or the time is over
		}
		require.Contains(t, []protocol.Outcome{protocol.NotSent, protocol.NotStarted}, protocol.OutcomeOf(err), "%v", err)
		break
	}
	close(impl.hold)
	require.NoError(t, <-held)
	require.NoError(t, <-closed)
}
