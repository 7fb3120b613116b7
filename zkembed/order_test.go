package zkembed_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zktest"
)

// TestEventComesBeforeTheNewState lets one session write while another one reads without pause. The reader must hear of a
// change before it sees it: that is what lets a client trust what it has cached.
func TestEventComesBeforeTheNewState(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		writer, reader := dial(t, z.Addr(), 10*time.Second), dial(t, z.Addr(), 10*time.Second)
		writer.must(1, createBody("/order", "", anyone, 0))
		for range 100 {
			f, _ := reader.must(4, body{}.text("/order").flag(true))
			f.text()
			seen := mzxid(f)
			require.NoError(t, writer.write(append(body{}.int(1).int(5), body{}.text("/order").text("x").int(-1)...)))
			told := false
			for now := seen; now == seen; {
				f, events := reader.must(3, body{}.text("/order").flag(false))
				now = mzxid(f)
				told = told || len(events) > 0
			}
			require.True(t, told)
			_, err := writer.next()
			require.NoError(t, err)
		}
	})
}

// TestOwnEventComesBeforeTheReply writes what it watches itself.
func TestOwnEventComesBeforeTheReply(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		r := dial(t, z.Addr(), 10*time.Second)
		r.watch("/own")
		_, events := r.must(1, createBody("/own", "", anyone, 1))
		require.Equal(t, []string{"event type 1 state 3 zxid -1 err 0 /own"}, events)
		r.watch("/own")
		r.must(8, body{}.text("/own").flag(true))
		_, events = r.must(2, body{}.text("/own").int(-1))
		require.Equal(t, []string{"event type 2 state 3 zxid -1 err 0 /own"}, events, "once, though it watched data and children")
	})
}

// mzxid is the second field of a Stat.
func mzxid(stat fields) int64 { return int64(binary.BigEndian.Uint64(stat[8:])) }
