package loadbalance

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type ref struct{ u *url.URL }

func (r ref) URL() *url.URL                                    { return r.u }
func (ref) Available() bool                                    { return true }
func (ref) Close() error                                       { return nil }
func (ref) Invoke(context.Context, *protocol.Invocation) error { return nil }

// list returns n targets with the given weights, which are repeated; 100 without any.
func list(n int, weights ...int) []*Target {
	out := make([]*Target, n)
	for i := range out {
		out[i] = &Target{Ref: ref{url.New("dubbo", fmt.Sprintf("10.0.%d.%d:20880", i>>8, i&255), "s")}, Weight: 100}
		if len(weights) > 0 {
			out[i].Weight = weights[i%len(weights)]
		}
	}
	return out
}

var sayHello = &protocol.Method{Service: "s", Name: "sayHello"}

type row []any

func (r row) Len() int     { return len(r) }
func (r row) At(i int) any { return r[i] }

func invocation(args ...any) *protocol.Invocation {
	return &protocol.Invocation{Method: sayHello, Args: row(args)}
}

// fixed returns random numbers that are the same in each run.
func fixed() func(int64) int64 { return rand.New(rand.NewPCG(1, 2)).Int64N }

// all returns every balancer, with fixed random numbers.
func all(t testing.TB) map[string]Balancer {
	hash, err := NewConsistentHash(extension.Env{}, url.New("", "", ""))
	require.NoError(t, err)
	p, err := NewP2C(extension.Env{}, url.New("", "", ""))
	require.NoError(t, err)
	p.(*p2c).draw = fixed()
	return map[string]Balancer{"random": random{fixed()}, "roundrobin": roundRobin{}, "leastactive": leastActive{fixed()},
		"shortestresponse": shortestResponse{fixed()}, "p2c": p, "consistenthash": hash}
}

func indexOf(targets []*Target, t *Target) int {
	for i, x := range targets {
		if x == t {
			return i
		}
	}
	return -1
}

// requireShares checks counts of independent draws against the expected shares. A share outside of 6.5 standard
// deviations has a chance below 1e-10 if the shares are right (normal tail, two-sided), so the bounds hold for any seed.
func requireShares(t testing.TB, counts []int, shares []float64) {
	t.Helper()
	total := 0
	for _, c := range counts {
		total += c
	}
	for i, c := range counts {
		want := shares[i] * float64(total)
		sigma := math.Sqrt(want * (1 - shares[i]))
		require.InDelta(t, want, float64(c), 6.5*sigma+1e-9, "position %d of %v", i, counts)
	}
}
