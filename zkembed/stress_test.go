package zkembed_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/zkembed"
)

// TestStress lets clients do anything while everything goes wrong. Afterwards the tables agree, every session ends, and
// nothing of them is left.
func TestStress(t *testing.T) {
	s := start(t, zkembed.Options{Tick: 10 * time.Millisecond, Reap: 20 * time.Millisecond})
	second, err := s.Listen("127.0.0.1:0")
	require.NoError(t, err)
	var served atomic.Int64
	s.Intercept(func(q zkembed.Request) zkembed.Fault {
		served.Add(1)
		switch rand.IntN(400) {
		case 0:
			return zkembed.Fault{DropBefore: true}
		case 1:
			return zkembed.Fault{DropAfter: true}
		case 2:
			return zkembed.Fault{Expire: true}
		case 3:
			return zkembed.Fault{Code: zkembed.OperationTimeout}
		case 4:
			return zkembed.Fault{Delay: time.Millisecond}
		}
		return zkembed.Fault{}
	})
	stop := time.Now().Add(time.Second)
	var wg sync.WaitGroup
	for i := range 8 {
		addr := []string{s.Addr(), second.Addr()}[i%2]
		wg.Go(func() { rampage(addr, uint64(i), stop) })
	}
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for i := 0; time.Now().Before(stop); i++ {
		misfortune(t, s, second, i)
		<-pace.C
	}
	wg.Wait()
	s.Intercept(nil)
	require.Greater(t, served.Load(), int64(100), "requests served")
	zkembed.Check(t, s)

	s.FreezeClock()
	s.Step(time.Minute)
	require.Empty(t, s.Sessions())
	zkembed.Check(t, s)
	last := dial(t, s.Addr(), 10*time.Second)
	last.ping()
}

// rampage sends random requests and takes every error as a reason to connect again.
func rampage(addr string, seed uint64, stop time.Time) {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), root: "", sessions: 1}
	for time.Now().Before(stop) {
		r, err := dialRaw(addr, 500*time.Millisecond)
		if err != nil {
			continue
		}
		for time.Now().Before(stop) {
			st := g.step()
			if st.op == 0 {
				if r.connect() != nil {
					break
				}
				continue
			}
			if _, _, err := r.call(st.op, st.body, st.xid); err != nil && r.connect() != nil {
				break
			}
		}
		r.close()
	}
}

func misfortune(t *testing.T, s *zkembed.Server, second *zkembed.Listener, i int) {
	switch i % 6 {
	case 0:
		second.Cut()
	case 1:
		second.Hold(zkembed.Outbound)
		second.Release()
	case 2:
		second.Refuse()
		require.NoError(t, second.Accept())
	case 3:
		if all := s.Sessions(); len(all) > 0 {
			s.Expire(all[0].ID)
		}
	case 4:
		zkembed.Check(t, s)
		r, err := dialRaw(s.Addr(), time.Second)
		if err == nil {
			_, _, _ = r.call(1, createBody(fmt.Sprintf("/stress%d", i), "", anyone, 1), 0)
			r.close()
		}
	case 5:
		s.Stop()
		require.NoError(t, s.Restart(i%60 != 5))
	}
}
