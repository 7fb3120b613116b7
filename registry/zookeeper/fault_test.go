package zookeeper

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/registry"
	"github.com/ferryrpc/ferry/registry/registrytest"
	"github.com/ferryrpc/ferry/zkembed"
)

// faulty makes one fault of each of the next n requests of that kind under the path.
func faulty(z *zkembed.Server, op zkembed.Op, under string, n int32, f zkembed.Fault) *atomic.Int32 {
	left := new(atomic.Int32)
	left.Store(n)
	z.Intercept(func(r zkembed.Request) zkembed.Fault {
		if r.Op == op && strings.HasPrefix(r.Path, under) && left.Add(-1) >= 0 {
			return f
		}
		return zkembed.Fault{}
	})
	return left
}

func TestLostRepliesOfCreate(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	one := registrytest.Provider(1, "Lost", "")
	for name, f := range map[string]zkembed.Fault{
		"request": {DropBefore: true}, "reply": {DropAfter: true}, "session": {Expire: true}, "error": {Code: zkembed.RuntimeInconsistency},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, extension.Env{}, z.Addr(), newRoot()+"&session=2000&retry.period=100")
			s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Lost", ""))
			s.Live(t)
			left := faulty(z, zkembed.OpCreate, r.servicePath(one)+"/providers/", 2, f)
			require.NoError(t, r.Register(registrytest.Within(t), one))
			gen, err := r.zk.Session(registrytest.Within(t))
			require.NoError(t, err)
			stat, found, err := r.zk.Exists(registrytest.Within(t), r.entryPath(one), nil)
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, gen.ID(), stat.Owner)
			require.Less(t, left.Load(), int32(2))
			s.Live(t, one)
			z.Intercept(nil)
		})
	}
}

func TestCutWhileListing(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	r := open(t, extension.Env{}, z.Addr(), newRoot()+"&session=2000")
	one, two := registrytest.Provider(1, "Cut", ""), registrytest.Provider(2, "Cut", "")
	require.NoError(t, r.Register(registrytest.Within(t), one))
	left := faulty(z, zkembed.OpGetChildren2, r.servicePath(one), 3, zkembed.Fault{DropAfter: true})
	s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Cut", ""))
	s.Live(t, one)
	require.Negative(t, left.Load())
	require.NoError(t, r.Register(registrytest.Within(t), two))
	s.Live(t, one, two)
}

// A registration is lost when a session ends; it must come back without anybody asking, and be counted as gone until then.
func TestExpiredSessionComesBack(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	r := open(t, extension.Env{}, z.Addr(), newRoot()+"&session=2000")
	one := registrytest.Provider(1, "Expired", "")
	require.NoError(t, r.Register(registrytest.Within(t), one))
	for range 3 {
		gen, err := r.zk.Session(registrytest.Within(t))
		require.NoError(t, err)
		require.True(t, z.Expire(gen.ID()))
		<-gen.Context().Done()
		require.Eventually(t, func() bool { return !r.Registered()[one.String()] }, registrytest.Limit, 100*time.Microsecond)
		require.Eventually(t, func() bool { return r.Registered()[one.String()] }, registrytest.Limit, time.Millisecond)
	}
}

func TestDeafServerAtStart(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	z.Deaf(true)
	r := open(t, extension.Env{}, z.Addr(), newRoot()+"&session=3000")
	s, _ := registrytest.Subscribe(t, r, registrytest.Consumer("Deaf", ""))
	began := time.Now()
	state := s.Wait(t, "a report", func(registry.State) bool { return true })
	require.Less(t, time.Since(began), 3*time.Second)
	require.ErrorContains(t, state.Err, z.Addr())
	one := registrytest.Provider(1, "Deaf", "")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, r.Register(ctx, one), z.Addr())
	z.Deaf(false)
	z.Cut()
	s.Live(t, one)
}

func TestUnauthorisedIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	query := newRoot()
	mine := open(t, extension.Env{}, "me:secret@"+z.Addr(), query)
	one := registrytest.Provider(1, "Private", "")
	require.NoError(t, mine.Register(registrytest.Within(t), one))
	other := open(t, extension.Env{}, z.Addr(), query)
	err := other.Register(registrytest.Within(t), registrytest.Provider(2, "Private", ""))
	require.ErrorIs(t, err, zk.ErrNoAuth)
	s, _ := registrytest.Subscribe(t, other, registrytest.Consumer("Private", ""))
	state := s.Wait(t, "a report", func(registry.State) bool { return true })
	require.ErrorIs(t, state.Err, zk.ErrNoAuth)
	s, _ = registrytest.Subscribe(t, mine, registrytest.Consumer("Private", ""))
	s.Live(t, one)
}

// A registry that is closed during an outage must not leave its entries to a session that others keep alive.
func TestCloseDuringAnOutage(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	query := newRoot() + "&session=4000"
	e := extension.Env{Shared: &extension.Shared{}}
	a, b := open(t, e, z.Addr(), query), open(t, e, z.Addr(), query)
	one, two := registrytest.Provider(1, "Leaving", ""), registrytest.Provider(2, "Leaving", "")
	require.NoError(t, a.Register(registrytest.Within(t), one))
	require.NoError(t, b.Register(registrytest.Within(t), two))
	s, _ := registrytest.Subscribe(t, b, registrytest.Consumer("Leaving", ""))
	s.Live(t, one, two)
	z.Stop()
	began := time.Now()
	require.NoError(t, a.Close())
	require.Less(t, time.Since(began), closing+time.Second)
	require.NoError(t, z.Restart(true))
	s.Live(t, two)
}

// A hundred processes lose their server, which comes back empty.
func TestFleetComesBack(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	query := newRoot() + "&session=4000"
	const n = 100
	fleet := make([]*Registry, n)
	var wg sync.WaitGroup
	for i := range fleet {
		wg.Go(func() {
			fleet[i] = open(t, extension.Env{}, z.Addr(), query)
			require.NoError(t, fleet[i].Register(registrytest.Within(t), registrytest.Provider(i+1, "Fleet", "")))
		})
	}
	wg.Wait()
	var requests atomic.Int64
	z.Intercept(func(zkembed.Request) zkembed.Fault {
		requests.Add(1)
		return zkembed.Fault{}
	})
	z.Stop()
	began := time.Now()
	require.NoError(t, z.Restart(false))
	for i, r := range fleet {
		require.Eventually(t, func() bool { return r.Registered()[registrytest.Provider(i+1, "Fleet", "").String()] },
			registrytest.Limit, 10*time.Millisecond)
	}
	t.Logf("%d entries were back after %v and %d requests", n, time.Since(began), requests.Load())
	require.Less(t, requests.Load(), int64(20*n))
}
