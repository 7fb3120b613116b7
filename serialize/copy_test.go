package serialize_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

type copied struct {
	Name   string
	Next   *copied
	Tags   []string
	Scores map[string][]int
	Any    any
	Big    *big.Int
	At     time.Time
	Raw    []byte
	Pair   [2]*int
	hidden []int
}

func TestCopySharesNothing(t *testing.T) {
	one := 1
	src := &copied{Name: "a", Tags: []string{"x"}, Scores: map[string][]int{"s": {1, 2}}, Any: []any{&copied{Name: "in"}, map[string]any{"k": []byte{1}}},
		Big: big.NewInt(7), At: time.Unix(1, 2), Raw: []byte{1, 2}, Pair: [2]*int{&one, &one}, hidden: []int{3}}
	src.Next = src
	var dst *copied
	serialize.Copy(&dst, &src)
	require.Equal(t, src.Scores, dst.Scores)
	require.Equal(t, src.Any, dst.Any)
	require.Same(t, dst, dst.Next, "a cycle stays a cycle")
	require.NotSame(t, src, dst)
	require.Same(t, dst.Pair[0], dst.Pair[1])
	require.NotSame(t, src.Pair[0], dst.Pair[0])
	require.True(t, src.At.Equal(dst.At))
	require.Equal(t, []int{3}, dst.hidden)

	src.Tags[0], src.Raw[0], src.Scores["s"][0] = "y", 9, 9
	src.Any.([]any)[0].(*copied).Name = "changed"
	src.Big.SetInt64(8)
	require.Equal(t, []string{"x"}, dst.Tags)
	require.Equal(t, []byte{1, 2}, dst.Raw)
	require.Equal(t, []int{1, 2}, dst.Scores["s"])
	require.Equal(t, "in", dst.Any.([]any)[0].(*copied).Name)
	require.Equal(t, int64(7), dst.Big.Int64())
}

func TestCopyOfDifferentTypesDoesNothing(t *testing.T) {
	a, b := 1, "x"
	serialize.Copy(&a, &b)
	require.Equal(t, 1, a)
	serialize.Copy((*int)(nil), &a)
	serialize.Copy(nil, nil)
}
