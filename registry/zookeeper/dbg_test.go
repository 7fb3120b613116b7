package zookeeper

import (
	"sync"
	"testing"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/registry/registrytest"
	"github.com/stretchr/testify/require"
)

func TestDbg(t *testing.T) {
	z := embedded(t)
	query := newRoot() + "&session=4000"
	const n = 500
	fleet := make([]*Registry, n)
	var wg sync.WaitGroup
	for i := range fleet {
		wg.Go(func() {
			fleet[i] = open(t, extension.Env{}, z.Addr(), query)
			require.NoError(t, fleet[i].Register(registrytest.Within(t), registrytest.Provider(i+1, "Fleet", "")))
		})
	}
	wg.Wait()
	z.Stop()
	began := time.Now()
	require.NoError(t, z.Restart(false))
	for k := 0; k < 40; k++ {
		time.Sleep(500 * time.Millisecond)
		left := 0
		shown := 0
		errs := map[string]int{}
		for _, r := range fleet {
			r.mu.Lock()
			for _, e := range r.entries {
				if !e.proved {
					left++
					s := r.zk.Status()
					m := ""
					if e.err != nil {
						m = "ENTRY " + e.err.Error()
						if len(m) > 60 { m = m[:20] + m[len(m)-40:] }
					}
					if s.Err != nil {
						m += " STATUS " + s.Err.Error()
					}
					if s.Connected {
						m += " connected"
					}
					errs[m]++
					shown++
				}
			}
			r.mu.Unlock()
		}
		t.Log(time.Since(began).Round(time.Millisecond), left, errs)
		if left == 0 {
			break
		}
	}
}
