package post_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/protocol"

	"example.com/extension/post"
	"example.com/extension/shop"
	"example.com/extension/tsv"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, // gnet's worker pool starts these with the program
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))
}

func extensions(t *testing.T) *ferry.Extensions {
	t.Helper()
	x := ferry.Builtin()
	require.NoError(t, x.Serializers.Add("tsv", nil, tsv.New))
	require.NoError(t, x.Protocols.Add("post", post.Params{}, post.New(&x.Serializers)))
	return x
}

// seller waits, panics or answers, as the item says.
type seller struct {
	running chan struct{} // gets a value when a call waits
	release chan struct{} // closed to end the waiting
}

func (s seller) end() {
	select {
	case <-s.release:
	default:
		close(s.release)
	}
}

func (seller) Quote(context.Context, string, int32) (float64, error) { return 1, nil }

func (s seller) Buy(_ context.Context, item string, n int32) (string, error) {
	switch item {
	case "slow":
		s.running <- struct{}{}
		<-s.release
	case "bomb":
		panic("boom")
	}
	return strings.Repeat("x", int(n)), nil
}

func serve(t *testing.T, options ...ferry.Option) (*ferry.Server, seller) {
	t.Helper()
	s := &ferry.Server{Extensions: extensions(t), Options: append(options, ferry.Param("protocol", "post"), ferry.Serialization("tsv"))}
	impl := seller{make(chan struct{}, 10), make(chan struct{})}
	require.NoError(t, shop.ExportShop(s, impl))
	t.Cleanup(func() {
		impl.end()
		require.NoError(t, stop(s))
	})
	return s, impl
}

func stop(s *ferry.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.Close(ctx)
}

func refer(t *testing.T, address string, options ...ferry.Option) shop.Shop {
	t.Helper()
	c := &ferry.Client{Extensions: extensions(t)}
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	s, err := shop.ReferShop(c, append(options, ferry.Direct("post://"+address), ferry.Serialization("tsv"), ferry.Cluster("failfast"))...)
	require.NoError(t, err)
	return s
}

func requireError(t *testing.T, err error, code protocol.Code, outcome protocol.Outcome, text string) {
	t.Helper()
	var e *ferry.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, "%v", err)
	require.Equal(t, outcome, e.Outcome, "%v", err)
	require.ErrorContains(t, err, text)
	require.NotContains(t, err.Error(), "\n")
}

func TestOutcomes(t *testing.T) {
	ctx := t.Context()
	s, impl := serve(t, ferry.Param("payload", "4096"))
	address := s.URLs()[0].Address()
	c := refer(t, address, ferry.Timeout(400*time.Millisecond))

	_, err := c.Buy(ctx, "slow", 1)
	requireError(t, err, protocol.Timeout, protocol.OutcomeUnknown, "no reply within 400ms")
	<-impl.running
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	_, err = c.Buy(short, "slow", 1)
	requireError(t, err, protocol.Timeout, protocol.OutcomeUnknown, "the caller's deadline")
	<-impl.running
	gone, leave := context.WithCancel(ctx)
	go func() { <-impl.running; leave() }()
	_, err = refer(t, address).Buy(gone, "slow", 1)
	requireError(t, err, protocol.Canceled, protocol.OutcomeUnknown, "canceled")
	_, err = c.Buy(gone, "bolt", 1)
	requireError(t, err, protocol.Canceled, protocol.NotSent, "canceled")
	_, err = c.Buy(ctx, "bomb", 1)
	requireError(t, err, protocol.Application, protocol.Executed, "panic")
	_, err = c.Buy(ctx, strings.Repeat("x", 5000), 1)
	requireError(t, err, protocol.Network, protocol.NotStarted, "status 413")
	_, err = refer(t, address, ferry.Param("payload", "1000")).Buy(ctx, "bolt", 2000)
	requireError(t, err, protocol.Serialization, protocol.Executed, "too large")
	_, err = refer(t, address, ferry.Serialization("json")).Buy(ctx, "bolt", 1)
	require.NoError(t, err, "the format is the caller's last word, here tsv")
	_, err = refer(t, address, ferry.Version("9")).Buy(ctx, "bolt", 1)
	requireError(t, err, protocol.Network, protocol.NotStarted, "is not here")
	got, err := c.Buy(ctx, "bolt", 3)
	require.NoError(t, err)
	require.Equal(t, "xxx", got)
}

func TestFiltersRefuseBeforeTheService(t *testing.T) {
	s, _ := serve(t, ferry.Param("tps", "1"))
	c := refer(t, s.URLs()[0].Address())
	_, err := c.Buy(t.Context(), "bolt", 1)
	require.NoError(t, err)
	_, err = c.Buy(t.Context(), "bolt", 1)
	requireError(t, err, protocol.LimitExceeded, protocol.NotStarted, "tps")

	s, _ = serve(t, ferry.Param("token", "secret"))
	_, err = refer(t, s.URLs()[0].Address()).Buy(t.Context(), "bolt", 1)
	requireError(t, err, protocol.Forbidden, protocol.NotStarted, "token")
	_, err = refer(t, s.URLs()[0].Address(), ferry.Param("token", "secret")).Buy(t.Context(), "bolt", 1)
	require.NoError(t, err)
}

// TestAStrangerAtTheAddress answers like a proxy that knows nothing of the service: nobody can say what became of the call.
func TestAStrangerAtTheAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	stranger := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "bad gateway\nsecond line", http.StatusBadGateway)
	})}
	served := make(chan error, 1)
	go func() { served <- stranger.Serve(l) }()
	_, err = refer(t, l.Addr().String()).Buy(t.Context(), "bolt", 1)
	requireError(t, err, protocol.Network, protocol.OutcomeUnknown, "status 502: bad gateway")
	require.NoError(t, stranger.Close())
	require.ErrorIs(t, <-served, http.ErrServerClosed)
}

// TestProviderGoesAndComesBack: a refused connection proves that nothing was sent, and the provider is found again.
func TestProviderGoesAndComesBack(t *testing.T) {
	s, _ := serve(t)
	at := s.URLs()[0]
	c := refer(t, at.Address(), ferry.Param("post.probe", "5"))
	_, err := c.Buy(t.Context(), "bolt", 1)
	require.NoError(t, err)
	require.NoError(t, stop(s))
	_, err = c.Buy(t.Context(), "bolt", 1)
	require.Error(t, err, "perhaps on a connection that was just closed")
	_, err = c.Buy(t.Context(), "bolt", 1)
	var e *ferry.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, protocol.NotSent, e.Outcome, "%v", err)
	serve(t, ferry.Port(at.Port()))
	require.Eventually(t, func() bool {
		_, err := c.Buy(t.Context(), "bolt", 1)
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
}

// TestCloseWaitsForCalls: a call in flight is answered, and a new one is turned away at once.
func TestCloseWaitsForCalls(t *testing.T) {
	s, impl := serve(t)
	c := refer(t, s.URLs()[0].Address(), ferry.Timeout(20*time.Second))
	answered, stopped := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := c.Buy(context.Background(), "slow", 1)
		answered <- err
	}()
	<-impl.running
	go func() { stopped <- stop(s) }()
	var err error
	require.Eventually(t, func() bool {
		_, err = c.Buy(t.Context(), "bolt", 1)
		return err != nil
	}, 10*time.Second, time.Millisecond)
	requireError(t, err, protocol.Network, protocol.NotStarted, "is not here")
	impl.end()
	require.NoError(t, <-answered)
	require.NoError(t, <-stopped)
}

func TestTwoServicesShareAPort(t *testing.T) {
	s, _ := serve(t)
	require.NoError(t, shop.ExportShop(s, seller{}, ferry.Group("b")))
	require.Equal(t, s.URLs()[0].Address(), s.URLs()[1].Address())
	require.ErrorContains(t, shop.ExportShop(s, seller{}), "exported at")
	taken := &ferry.Server{Extensions: extensions(t), Options: []ferry.Option{ferry.Param("protocol", "post"), ferry.Port(s.URLs()[0].Port())}}
	err := shop.ExportShop(taken, seller{})
	require.ErrorContains(t, err, "cannot listen on")
	require.ErrorContains(t, err, "in use")
	require.NoError(t, stop(taken))
	got, err := refer(t, s.URLs()[0].Address(), ferry.Group("b")).Buy(t.Context(), "bolt", 1)
	require.NoError(t, err)
	require.Equal(t, "x", got)
}
