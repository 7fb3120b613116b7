package ferry_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/registry/zookeeper"
	"github.com/ferryrpc/ferry/url"
)

// TestClosingServerLeavesTheRegistryFirst closes a server under a call: the registry must lose the provider while the
// call still runs, or new consumers would find a provider that is going away.
func TestClosingServerLeavesTheRegistryFirst(t *testing.T) {
	leave := func(t *testing.T, reg string) {
		s := ferry.NewServer(reg)
		require.NoError(t, s.ExportValue(service, shop{"ann"}))
		c := refer(t, reg, ferry.Timeout(3*time.Second))
		require.Len(t, c.in.Directory().State().URLs, 1)
		_, there := c.in.Directory().State().URLs[0].Lookup("check")
		require.False(t, there, "what only this process reads is not published")
		answered := make(chan struct{})
		go func() {
			_, _ = c.Buy(context.Background(), "slow", 1)
			close(answered)
		}()
		require.Eventually(t, func() bool {
			samples := s.Monitor().Samples()
			return len(samples) == 1 && samples[0].InFlight == 1
		}, patience, time.Millisecond)
		closed := make(chan error, 1)
		go func() { closed <- s.Close(context.Background()) }()
		require.Eventually(t, func() bool { return len(c.in.Directory().State().URLs) == 0 }, patience, time.Millisecond)
		select {
		case <-answered:
			t.Fatal("the call ended before the registry lost the provider")
		default:
		}
		<-answered
		require.NoError(t, <-closed)
	}
	t.Run("memory", func(t *testing.T) { leave(t, "memory://"+t.Name()) })
	real.Both(t, func(t *testing.T, z zktest.Target) { leave(t, "zookeeper://"+z.Addr()+"?cache=false") })
}

// TestConsumersAreShownWhileTheyLive looks at the entries that people and tools see.
func TestConsumersAreShownWhileTheyLive(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		reg := "zookeeper://" + z.Addr() + "?cache=false"
		group := ferry.Group(t.Name()[len(t.Name())-4:])
		export(t, reg, "ann", group)
		watch, err := zookeeper.New(extension.Env{}, url.MustParse(reg))
		require.NoError(t, err)
		defer watch.Close()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		shown := make(chan int, 100)
		require.NoError(t, watch.Subscribe(ctx, url.MustParse("admin://127.0.0.1/"+service+"?group=*&version=*&category=consumers"), func(s registry.State) {
			shown <- len(s.URLs)
		}))
		await := func(want int) {
			t.Helper()
			timeout := time.After(patience)
			for {
				select {
				case n := <-shown:
					if n == want {
						return
					}
				case <-timeout:
					t.Fatalf("never %d consumers", want)
				}
			}
		}
		c := refer(t, reg, group)
		await(1)
		require.NoError(t, c.in.Close())
		await(0)
	})
}

// TestConsumersThatComeWhileTheServerGoes: a list may be a moment old, and a consumer dials a server that nobody else is
// connected to and that closes just now. Its call is served or is known not to have run, with every protocol and transport.
func TestConsumersThatComeWhileTheServerGoes(t *testing.T) {
	const rounds, consumers = 5, 4
	for _, way := range []string{"protocol=dubbo&transport=net", "protocol=dubbo&transport=gnet", "protocol=tri"} {
		for range rounds {
			t.Run(way, func(t *testing.T) {
				t.Parallel() // a round waits most of its time
				s := export(t, "", "ann", options(way+"&bind.ip=127.0.0.1&host=127.0.0.1")...)
				var all sync.WaitGroup
				errs := make([]error, consumers)
				for i := range consumers {
					c := refer(t, "", ferry.Param("url", s.URLs()[0].String()), ferry.Param("lazy", "true"), ferry.Retries(0))
					all.Go(func() {
						time.Sleep(time.Duration(i) * 500 * time.Microsecond) // spreads them over what Close does
						_, errs[i] = c.Buy(context.Background(), "apple", 1)
					})
				}
				require.NoError(t, s.Close(context.Background()))
				all.Wait()
				for _, err := range errs {
					if err != nil {
						require.NotEqual(t, protocol.Unknown, protocol.OutcomeOf(err), "%v", err)
					}
				}
			})
		}
	}
}
