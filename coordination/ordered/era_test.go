package ordered_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/zkembed"
)

// TestAnErrorOfTheServersEndsNoTenure: an owner that cannot list the members, owns what it owns as
// long as the session lives, and takes part in changes again when the error is over.
func TestAnErrorOfTheServersEndsNoTenure(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	s := &sessions{address: z.Addr(), session: 10 * time.Second}
	j := newJournal()
	var ran [2]atomic.Int64
	quick := ferry.Param("ordered.move", "5000")
	serveWith(t, ferry.Builtin(), s.url(), counted{desk{j}, &ran[0]}, quick)
	c := consume(t, s.url(), ferry.Timeout(patience))
	const keys = 20
	call := func() {
		for n := range keys {
			_, err := c.Append(t.Context(), fmt.Sprint("key", n), "x")
			require.NoError(t, err)
		}
	}
	call()
	var failed atomic.Int64
	z.Intercept(func(r zkembed.Request) (f zkembed.Fault) {
		if strings.HasPrefix(r.Path, "/ferry/ordered/") && strings.HasSuffix(r.Path, "/members") && r.Op != zkembed.OpCreate {
			failed.Add(1)
			f.Code = zkembed.NoAuth
		}
		return f
	})
	serveWith(t, ferry.Builtin(), s.url(), counted{desk{j}, &ran[1]}, quick) // which changes the members: the first one looks, in vain
	require.Eventually(t, func() bool { return failed.Load() >= 6 }, patience, time.Millisecond)
	call()
	require.Equal(t, 1, j.owners(), "the keys stayed where they were")
	require.Zero(t, ran[1].Load(), "who does not know the members owns nothing")
	z.Intercept(nil)
	require.Eventually(t, func() bool { call(); return ran[1].Load() > 0 }, patience, time.Millisecond)
	require.Equal(t, 2, j.owners())
	j.requireOrder(t, false, 0)
}
