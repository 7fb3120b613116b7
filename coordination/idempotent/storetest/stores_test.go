package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/coordination/idempotent/idempotenttest"
)

func TestSQL(t *testing.T) {
	for _, d := range databases(t) {
		d.store(t) // makes the table
		t.Run(d.name, func(t *testing.T) {
			idempotenttest.Run(t, idempotenttest.Suite{Open: func(t *testing.T) idempotent.Store { return d.store(t) }})
		})
	}
}

func TestRedis(t *testing.T) {
	s := startRedis(t)
	idempotenttest.Run(t, idempotenttest.Suite{Open: func(t *testing.T) idempotent.Store {
		return idempotent.NewRedis(redisClient(t, s), idempotent.RedisOptions{})
	}})
}

// Outdated records leave by the index on their end; others stay.
func TestSweep(t *testing.T) {
	for _, d := range databases(t) {
		s := d.store(t)
		for i := range 20 {
			q := request(t, i)
			if i%2 == 0 {
				q.TTL = 1 // of a nanosecond, a millisecond is the least there is
			}
			_, err := s.Begin(t.Context(), q)
			require.NoError(t, err)
			require.NoError(t, s.Finish(t.Context(), q.Ticket(), idempotent.Final{State: idempotent.Done, TTL: q.TTL}))
		}
		n, err := s.Sweep(t.Context())
		require.NoError(t, err)
		require.Equal(t, int64(10), n, d.name)
		var left int
		require.NoError(t, s.DB().QueryRow("SELECT COUNT(*) FROM "+d.table).Scan(&left))
		require.Equal(t, 10, left)
	}
}

func TestTablesAreChecked(t *testing.T) {
	db := sqlite(t).open(t)
	for _, table := range []string{"a b", "a;drop table b", "a.b.c", "1a", "a-b"} {
		_, err := idempotent.NewSQL(db, idempotent.SQLite, idempotent.SQLOptions{Table: table})
		require.Error(t, err, table)
	}
	_, err := idempotent.NewSQL(db, 0, idempotent.SQLOptions{})
	require.ErrorContains(t, err, "dialect")
}
