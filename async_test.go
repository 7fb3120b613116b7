package ferry_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
)

type asyncClient struct {
	Buy func(ctx context.Context, item string, n int32) *ferry.Future[string]
}

// TestFutures: what a call that nobody waits for ends in is what it would end in otherwise, over a real connection.
func TestFutures(t *testing.T) {
	s := ferry.NewServer("memory://" + t.Name())
	require.NoError(t, s.ExportValue(service, shop{"ann"}))
	t.Cleanup(func() { // waits for the handlers of calls that were given up
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, s.Close(ctx))
	})
	c := refer(t, "memory://"+t.Name(), ferry.Timeout(patience), ferry.Param("buy.retries", "0"))
	var in asyncClient
	require.NoError(t, proxy.Fill(c.in, service, &in))
	ctx := context.Background()

	var all []*ferry.Future[string]
	told := make(chan string, 100)
	for i := range 100 {
		f := in.Buy(ctx, fmt.Sprint("apple", i), 1)
		f.Then(func(reply string, err error) { told <- reply + fmt.Sprint(err) })
		all = append(all, f)
	}
	for i, f := range all {
		got, err := f.Wait(ctx)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint("ann sold apple", i), got)
	}
	for range all {
		require.Contains(t, <-told, "ann sold apple")
	}

	_, err := in.Buy(ctx, "dragon", 1).Wait(ctx)
	require.Equal(t, protocol.Executed, protocol.OutcomeOf(err))
	bounded, stop := context.WithTimeout(ctx, time.Second) // the handler ends with it
	defer stop()
	slow := in.Buy(bounded, "slow", 1)
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, err = slow.Wait(short)
	require.ErrorContains(t, err, "the call goes on")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	slow.Cancel()
	_, err = slow.Wait(ctx)
	require.Equal(t, protocol.Canceled, protocol.CodeOf(err))
	require.Contains(t, []protocol.Outcome{protocol.OutcomeUnknown, protocol.NotSent}, protocol.OutcomeOf(err))
	limited, end := context.WithTimeout(ctx, 50*time.Millisecond)
	defer end()
	_, err = in.Buy(limited, "slow", 1).Wait(ctx)
	require.Equal(t, protocol.Timeout, protocol.CodeOf(err), "%v", err)
	require.Equal(t, protocol.OutcomeUnknown, protocol.OutcomeOf(err))
	_, err = in.Buy(canceled(), "apple", 1).Wait(ctx)
	require.Equal(t, protocol.NotSent, protocol.OutcomeOf(err))

	// Attachments of the context go along, and typed calls fit into ferry.Go.
	got, err := in.Buy(ferry.WithAttachment(ctx, "trace", "t1"), "echo", 1).Wait(ctx)
	require.NoError(t, err)
	require.Equal(t, "t1", got)
	both, err := ferry.Go(ctx, func(ctx context.Context) (string, error) {
		a, err := c.Buy(ctx, "pear", 1)
		if err != nil {
			return "", err
		}
		b, err := c.Buy(ctx, "plum", 1)
		return a + ", " + b, err
	}).Wait(ctx)
	require.NoError(t, err)
	require.Equal(t, "ann sold pear, ann sold plum", both)
}

// BenchmarkFutures is what a call costs that nobody waits for at once, with a thousand under way.
func BenchmarkFutures(b *testing.B) {
	s := ferry.NewServer("memory://futures")
	require.NoError(b, s.ExportValue(service, shop{"ann"}))
	defer s.Close(canceled())
	c := ferry.NewClient("memory://futures", ferry.Timeout(patience))
	defer c.Close()
	in, err := fill(c)
	require.NoError(b, err)
	var a asyncClient
	require.NoError(b, proxy.Fill(in.in, service, &a))
	b.ReportAllocs()
	window := make(chan *ferry.Future[string], 1000)
	for b.Loop() {
		if len(window) == cap(window) {
			if _, err := (<-window).Wait(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
		window <- a.Buy(context.Background(), "apple", 1)
	}
	for len(window) > 0 {
		_, _ = (<-window).Wait(context.Background())
	}
}
