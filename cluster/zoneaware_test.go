package cluster

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/protocol"
)

// a zone of a test: whether it can be called, and what its calls end in.
type testZone struct {
	away  bool
	err   error
	calls int
}

func zonesOf(list ...*testZone) []Zone {
	out := make([]Zone, len(list))
	for i, z := range list {
		out[i] = Zone{Weight: 100, Place: "zk" + string(rune('0'+i)),
			Available: func(*protocol.Invocation) bool { return !z.away },
			Invoker: protocol.InvokerFunc(func(context.Context, *protocol.Invocation) error {
				z.calls++
				return z.err
			})}
	}
	return out
}

// TestZoneAware: preferred, then the caller's zone, then by weight, and always one that has a provider.
func TestZoneAware(t *testing.T) {
	none := &protocol.Error{Code: protocol.NoProvider, Outcome: protocol.NotSent, Cause: ErrNoProvider}
	cases := []struct {
		name        string
		preferred   int // index, or -1
		away        []int
		empty       []int // available when asked, but without a provider when called
		own         string
		force       bool
		attachments protocol.Attachments
		want        []int // who may be called; nil for nobody
	}{
		{"by weight", -1, nil, nil, "", false, nil, []int{0, 1, 2}},
		{"preferred", 1, nil, nil, "", false, nil, []int{1}},
		{"preferred before zone", 1, nil, nil, "c", false, nil, []int{1}},
		{"preferred away", 1, []int{1}, nil, "", false, nil, []int{0, 2}},
		{"own zone", -1, nil, nil, "c", false, nil, []int{2}},
		{"zone of the call", -1, nil, nil, "c", false, protocol.Attachments{ZoneAttachment, "b"}, []int{1}},
		{"zone away", -1, []int{2}, nil, "c", false, nil, []int{0, 1}},
		{"zone away, forced", -1, []int{2}, nil, "c", true, nil, nil},
		{"forced by the call", -1, []int{1}, nil, "", false, protocol.Attachments{ZoneAttachment, "b", ZoneForceAttachment, "true"}, nil},
		{"the call lifts the force", -1, []int{2}, nil, "c", true, protocol.Attachments{ZoneForceAttachment, "false"}, []int{0, 1}},
		{"force without a zone", -1, nil, nil, "", true, nil, []int{0, 1, 2}},
		{"preferred before a forced zone, as in Dubbo", 1, nil, nil, "c", true, nil, []int{1}},
		{"emptied between choice and call", 1, nil, []int{1}, "", false, nil, []int{0, 2}},
		{"only one left", -1, []int{0}, []int{2}, "c", false, nil, []int{1}},
		{"unknown zone", -1, nil, nil, "nowhere", false, nil, []int{0, 1, 2}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			list := []*testZone{{}, {}, {}}
			zones := zonesOf(list...)
			for i := range zones {
				zones[i].Name = string(rune('a' + i))
			}
			if c.preferred >= 0 {
				zones[c.preferred].Preferred = true
			}
			for _, i := range c.away {
				list[i].away = true
			}
			for _, i := range c.empty {
				list[i].err = none
			}
			x := NewZoneAware(zones, c.own, c.force)
			for range 200 {
				in := call(method("sayHello", 0), "")
				in.Attachments = c.attachments
				err := x.Invoke(t.Context(), in)
				if c.want == nil {
					require.ErrorIs(t, err, ErrNoProvider)
					require.ErrorContains(t, err, "zone")
					require.Equal(t, protocol.NotSent, protocol.OutcomeOf(err))
					continue
				}
				require.NoError(t, err)
			}
			for i, z := range list {
				called := z.calls > 0
				may := false
				for _, w := range c.want {
					may = may || w == i
				}
				for _, e := range c.empty {
					may = may || e == i
				}
				require.Equal(t, may, called, "zone %d", i)
			}
		})
	}
}

// TestZoneWeights: registries share the calls by weight; one of weight 0 has none while there are others.
func TestZoneWeights(t *testing.T) {
	list := []*testZone{{}, {}, {}}
	zones := zonesOf(list...)
	zones[0].Weight, zones[1].Weight, zones[2].Weight = 100, 300, 0
	x := NewZoneAware(zones, "", false)
	c := call(method("sayHello", 0), "")
	const n = 20_000
	for range n {
		require.NoError(t, x.Invoke(t.Context(), c))
	}
	// 6 standard deviations of a binomial share: a false alarm once in 5e8 runs.
	require.InDelta(t, n*0.75, list[1].calls, 6*61.3)
	require.Zero(t, list[2].calls)
	list[0].away, list[1].away = true, true
	require.NoError(t, x.Invoke(t.Context(), c))
	require.Equal(t, 1, list[2].calls)
	if !raceEnabled {
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = x.Invoke(t.Context(), c) }))
	}
}

// TestZonesWithNobody: a failure after sending is the call's, and when nobody can be called the registry's own words come.
func TestZonesWithNobody(t *testing.T) {
	lost := &protocol.Error{Code: protocol.Network, Outcome: protocol.OutcomeUnknown}
	list := []*testZone{{err: lost}, {}}
	zones := zonesOf(list...)
	zones[0].Preferred = true
	require.Equal(t, error(lost), NewZoneAware(zones, "", false).Invoke(t.Context(), call(method("sayHello", 0), "")))
	require.Zero(t, list[1].calls, "what may have run is not repeated in another registry")

	words := &protocol.Error{Code: protocol.NoProvider, Outcome: protocol.NotSent, Message: "the words", Cause: ErrNoProvider}
	list = []*testZone{{away: true, err: words}, {away: true, err: words}}
	err := NewZoneAware(zonesOf(list...), "", false).Invoke(t.Context(), call(method("sayHello", 0), ""))
	require.ErrorContains(t, err, "the words")
	require.ErrorContains(t, err, "zk0; zk1")
	require.Equal(t, 1, list[0].calls)
	require.Equal(t, 1, list[1].calls)
}
