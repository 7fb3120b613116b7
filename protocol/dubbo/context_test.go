package dubbo_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// handled is a service of one method that hands its context out.
func handled(serve func(ctx context.Context) (any, error)) *protocol.Interface {
	return service(demo, method("get", "", func(ctx context.Context, _ serialize.Row) (any, error) { return serve(ctx) }))
}

// TestHandlerContext: what a handler learns from its context while it runs, and what is left of it afterwards.
func TestHandlerContext(t *testing.T) {
	var kept context.Context
	i := handled(func(ctx context.Context) (any, error) {
		kept = ctx
		deadline, ok := ctx.Deadline()
		require.True(t, ok)
		require.WithinDuration(t, time.Now().Add(5*time.Second), deadline, 2*time.Second)
		require.NoError(t, ctx.Err())
		require.Equal(t, "get", protocol.Serving(ctx).Method.Name)
		require.Equal(t, "5000", protocol.IncomingAttachments(ctx).Value("timeout"))
		require.IsType(t, &net.TCPAddr{}, protocol.Peer(ctx))
		require.Nil(t, ctx.Value("else"))
		require.Empty(t, protocol.AttachmentsFrom(ctx), "what came in does not go on by itself")
		require.True(t, protocol.SetReplyAttachment(ctx, "by", "me"))
		require.False(t, protocol.SetReplyAttachment(ctx, "dubbo", "9"))
		return nil, nil
	})
	ref := open(t).pair(i, "timeout=5000")
	c := invocation(i.Methods[0])
	require.NoError(t, ref.Invoke(t.Context(), c))
	require.Equal(t, protocol.Attachments{"dubbo", "2.0.2", "by", "me"}, c.ReplyAttachments)
	require.Eventually(t, func() bool { return kept.Err() != nil }, patience, time.Millisecond)
	require.ErrorIs(t, kept.Err(), context.Canceled)
	receive(t, kept.Done())
	require.Nil(t, protocol.Serving(kept))
	require.Nil(t, protocol.IncomingAttachments(kept))
	require.False(t, protocol.SetReplyAttachment(kept, "too", "late"))
	require.NotNil(t, protocol.Peer(kept))
	_, ok := kept.Deadline()
	require.True(t, ok)
}

// TestHandlerDeadline: the caller's timeout ends the handler's context, with and without Done.
func TestHandlerDeadline(t *testing.T) {
	ended := make(chan error, 1)
	for _, serve := range []func(ctx context.Context) (any, error){
		func(ctx context.Context) (any, error) { <-ctx.Done(); ended <- ctx.Err(); return nil, nil },
		func(ctx context.Context) (any, error) {
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			<-child.Done()
			ended <- child.Err()
			return nil, nil
		},
		func(ctx context.Context) (any, error) {
			for ctx.Err() == nil {
				runtime.Gosched()
			}
			ended <- ctx.Err()
			return nil, nil
		},
	} {
		i := handled(serve)
		_, _ = call(t.Context(), open(t).pair(i, "timeout=50"), i.Methods[0]) // the answer and the timeout may both be first
		require.ErrorIs(t, receive(t, ended), context.DeadlineExceeded)
	}
}

// TestHandlerOutOfTime: a handler that fails because its caller's time is over answers with SERVER_TIMEOUT, which every
// caller takes for a timeout; an error of its own stays one, and so does a deadline of its own.
func TestHandlerOutOfTime(t *testing.T) {
	for name, c := range map[string]struct {
		serve  func(ctx context.Context) (any, error)
		status byte
	}{
		"the caller's": {func(ctx context.Context) (any, error) { <-ctx.Done(); return nil, fmt.Errorf("store: %w", ctx.Err()) }, exchange.ServerTimeout},
		"late":         {func(ctx context.Context) (any, error) { <-ctx.Done(); return nil, errors.New("sold out") }, exchange.OK},
		"its own":      {func(context.Context) (any, error) { return nil, context.DeadlineExceeded }, exchange.OK},
	} {
		t.Run(name, func(t *testing.T) {
			e := open(t).export(handled(c.serve), "")
			timeout := "1"
			if c.status == exchange.OK && name == "its own" {
				timeout = "60000"
			}
			status, body := dial(t, e.URL().Address()).ask(request{path: demo, method: "get", pairs: []string{"timeout", timeout}}.body(t))
			require.Equal(t, c.status, status, "%q", body)
			if status == exchange.ServerTimeout {
				require.Equal(t, "store: context deadline exceeded", text(t, body))
			}
		})
	}
}

// TestNoDeadline: a caller that says no timeout, or nonsense, sets none.
func TestNoDeadline(t *testing.T) {
	got := make(chan bool, 1)
	i := handled(func(ctx context.Context) (any, error) {
		_, ok := ctx.Deadline()
		done := ctx.Done()
		got <- ok || ctx.Err() != nil || done == nil
		return nil, nil
	})
	peer := dial(t, open(t).export(i, "").URL().Address())
	for _, timeout := range []string{"", "0", "-5", "x", "99999999999"} {
		peer.ask(request{path: demo, method: "get", pairs: []string{"timeout", timeout}}.body(t))
		require.False(t, receive(t, got), timeout)
	}
}

// TestCancelOnDisconnect: only with the parameter does the loss of its consumer end a handler.
func TestCancelOnDisconnect(t *testing.T) {
	for _, params := range []string{"cancel.on.disconnect=true", ""} {
		entered, leave, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		i := handled(func(ctx context.Context) (any, error) {
			entered <- struct{}{}
			select {
			case <-ctx.Done():
			case <-leave:
			}
			ended <- ctx.Err()
			return nil, nil
		})
		peer := dial(t, open(t).export(i, params).URL().Address())
		peer.send(frame(twoWay, 0, 1, request{path: demo, method: "get"}.body(t)))
		receive(t, entered)
		require.NoError(t, peer.Close())
		if params == "" {
			close(leave)
			require.NoError(t, receive(t, ended))
		} else {
			require.ErrorIs(t, receive(t, ended), context.Canceled)
		}
	}
}

// TestKeptContext: a goroutine that outlives its call may use the context; -race watches.
func TestKeptContext(t *testing.T) {
	var keeping sync.WaitGroup
	i := handled(func(ctx context.Context) (any, error) {
		for range 4 {
			keeping.Go(func() {
				for ctx.Err() == nil {
					for _, v := range protocol.IncomingAttachments(ctx) {
						require.NotEmpty(t, v)
					}
				}
				<-ctx.Done()
				require.Nil(t, protocol.IncomingAttachments(ctx))
			})
		}
		return nil, nil
	})
	ref := open(t).pair(i, "timeout=10000")
	for range 50 {
		_, err := call(t.Context(), ref, i.Methods[0])
		require.NoError(t, err)
	}
	keeping.Wait()
}

// TestAttachmentsAreTheCallsOwn: a handler that changes its attachments does not change those of the next call, though
// the bytes are the same.
func TestAttachmentsAreTheCallsOwn(t *testing.T) {
	i := handled(func(ctx context.Context) (any, error) {
		c := protocol.Serving(ctx)
		require.Empty(t, c.Attachments.Value("mine"))
		require.Equal(t, demo, c.Attachments.Value("path"))
		c.Attachments.Set("mine", "1")
		c.Attachments.Set("path", "changed")
		mine := protocol.IncomingAttachments(ctx)
		for k := range mine {
			mine[k] = "overwritten"
		}
		return nil, nil
	})
	ref := open(t).pair(i, "timeout=10000")
	for range 3 {
		_, err := call(t.Context(), ref, i.Methods[0])
		require.NoError(t, err)
	}
}
