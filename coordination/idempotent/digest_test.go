package idempotent_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/serialize"
)

func digest(t *testing.T, values ...any) idempotent.Digest {
	t.Helper()
	d, err := idempotent.DigestOf(serialize.Values(values))
	require.NoError(t, err)
	return d
}

func at[T any](v T) *T { return &v }

// Equal arguments have equal digests, whatever the order of their maps; others have others.
func TestDigest(t *testing.T) {
	now := time.Now()
	for range 20 {
		require.Equal(t, digest(t, at(map[string]int{"a": 1, "b": 2, "c": 3})), digest(t, at(map[string]int{"c": 3, "b": 2, "a": 1})))
	}
	require.Equal(t, digest(t, at(now)), digest(t, at(now.UTC())))
	require.Equal(t, digest(t, at([]string(nil))), digest(t, at([]string{})))
	require.Equal(t, digest(t, at(big.NewInt(7))), digest(t, at(*big.NewInt(7))))
	all := []any{at("a"), at(""), at(int64(1)), at(int64(-1)), at(true), at(1.5), at([]byte("a")), at([]string{"a"}), at([]string{"a", ""}),
		at(map[string]string{"a": "b"}), at(map[string]string{"b": "a"}), at(now), at(Order{OrderID: "a"}), at(Order{OrderID: "b"}), at(big.NewInt(1)),
		at((*string)(nil)), at(any(nil))}
	seen := map[idempotent.Digest]int{}
	for i, v := range all[:len(all)-1] {
		d := digest(t, v)
		other, ok := seen[d]
		require.False(t, ok, "%d and %d", other, i)
		seen[d] = i
	}
	require.NotEqual(t, digest(t, at("ab"), at("c")), digest(t, at("a"), at("bc")))
	require.NotEqual(t, digest(t), digest(t, at("")))
}

type loop struct{ Next *loop }

// Arguments without an end have no digest.
func TestDigestOfCycles(t *testing.T) {
	l := &loop{}
	l.Next = l
	_, err := idempotent.DigestOf(serialize.Values{l})
	require.ErrorContains(t, err, "nested deeper")
	_, err = idempotent.DigestOf(serialize.Values{at(make(chan int))})
	require.Error(t, err)
}
