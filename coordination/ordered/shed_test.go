package ordered

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/url"
	"github.com/ferryrpc/ferry/zkembed"
)

// TestASessionThatGoesOnKeepsNoBucketFromItsHeir: an owner hears nothing for so long that it has to give its buckets up, while its
// session lives on, and with it the nodes. Those of buckets that should be another provider's must go, or that one would be told for
// ever that the first is the owner, and the first would say the opposite.
func TestASessionThatGoesOnKeepsNoBucketFromItsHeir(t *testing.T) {
	z, err := zkembed.Start(zkembed.Options{Tick: 50 * time.Millisecond})
	require.NoError(t, err)
	defer func() { require.NoError(t, z.Close()) }()
	link, err := z.Listen("127.0.0.1:0")
	require.NoError(t, err)
	const patience, step = time.Minute, 5 * time.Millisecond
	// So slow that giving away does not hide what is missing.
	p := HostParams{Store: "memory", Move: 1, Drain: time.Second, Replay: time.Minute, Gap: time.Second, Result: 1 << 10}
	open := func(port int, address string) *host {
		h := newHost(extension.Env{}, p, codec{}, nil)
		require.NoError(t, h.Start(url.New("dubbo", fmt.Sprint("127.0.0.1:", port), "com.example.Heir"), url.MustParse("zookeeper://"+address+"?session=1500")))
		return h
	}
	first := open(1, link.Addr())
	defer func() { require.NoError(t, first.Close()) }()
	require.Eventually(t, func() bool { return first.owned() == Buckets }, patience, step)
	second := open(2, z.Addr())
	defer func() { require.NoError(t, second.Close()) }()
	require.Eventually(t, func() bool { return second.watching() > Buckets/3 }, patience, step)
	link.Hold(zkembed.Outbound)
	require.Eventually(t, func() bool { return first.owned() == 0 }, patience, step)
	link.Release()
	m := second.members.Load()
	mine := 0
	for i := range Buckets {
		if m.of(i) == first.self {
			mine++
		}
	}
	require.Eventually(t, func() bool { return first.owned() == mine && second.owned() == Buckets-mine }, patience, step)
}
