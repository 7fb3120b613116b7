package loadbalance

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

func hashing(t testing.TB, params string) Balancer {
	b, err := NewConsistentHash(extension.Env{}, url.MustParse("consumer://h/s?"+params))
	require.NoError(t, err)
	return b
}

func TestConsistentHashPicksAsJava(t *testing.T) {
	v := golden(t).Hash
	targets := make([]*Target, len(v.Addresses))
	for i, a := range v.Addresses {
		targets[i] = &Target{Ref: ref{url.New("dubbo", a, "s")}, Weight: 100}
	}
	p := hashing(t, fmt.Sprintf("hash.nodes=%d", v.Nodes)).Prepare(sayHello, targets)
	require.Len(t, p.(*hashPicker).ring, v.Points)
	for _, x := range v.Picks {
		digest := md5.Sum([]byte(x.Key))
		require.Equal(t, x.Hash, binary.LittleEndian.Uint32(digest[:]))
		require.Equal(t, x.Addr, p.Pick(invocation(&x.Key), nil).Ref.URL().Address(), x.Key)
	}
	var null *string
	require.Equal(t, "10.0.0.2:20880", p.Pick(invocation(&null), nil).Ref.URL().Address(), "a null argument is the text null")
	number := int64(10086)
	require.Equal(t, "10.0.0.3:20880", p.Pick(invocation(&number), nil).Ref.URL().Address())
}

// TestConsistentHashMovesLittle: when one of n leaves, only its keys move, and these are about 1/n.
func TestConsistentHashMovesLittle(t *testing.T) {
	const keys = 20_000
	for _, n := range []int{5, 10, 50} {
		targets := list(n)
		b := hashing(t, "")
		before, after := b.Prepare(sayHello, targets), b.Prepare(sayHello, targets[1:])
		moved := 0
		for i := range keys {
			key := fmt.Sprint("user-", i)
			c := invocation(&key)
			was, is := before.Pick(c, nil), after.Pick(c, nil)
			if was != is {
				require.Same(t, targets[0], was, "a key moved whose provider stayed")
				moved++
			}
			// A provider that was tried is passed over to the same one that would take its keys.
			require.Same(t, is, before.Pick(c, Tried{targets[0]}))
		}
		require.LessOrEqual(t, float64(moved)/keys, 1.3/float64(n), "of %d", n)
		require.Positive(t, moved)
	}
}

func TestHashKey(t *testing.T) {
	text, wrapped, null, list := "ab", new(int32), (*int64)(nil), []any{"x", int64(7)}
	*wrapped = 5
	cases := []struct {
		want string
		arg  any
	}{
		{"ab", &text}, {"5", &wrapped}, {"null", &null}, {"true", ptr(true)}, {"-3", ptr(int8(-3))}, {"[x, 7]", &list},
		{"1.0", ptr(1.0)}, {"0.001", ptr(0.001)}, {"1.0E-4", ptr(0.0001)}, {"1.5E10", ptr(1.5e10)}, {"9999999.0", ptr(9999999.0)},
		{"1.0E7", ptr(1e7)}, {"-1.0E7", ptr(-1e7)}, {"0.0", ptr(0.0)}, {"-0.0", ptr(math.Copysign(0, -1))}, {"NaN", ptr(math.NaN())},
		{"-Infinity", ptr(math.Inf(-1))}, {"0.1", ptr(float32(0.1))}, {"{1 b}", ptr(struct {
			A int
			B string
		}{1, "b"})},
	}
	for _, c := range cases {
		require.Equal(t, c.want, string(appendKey(nil, invocation(c.arg), []int{0})))
	}
	one, two := "1", "2"
	require.Equal(t, "21", string(appendKey(nil, invocation(&one, &two), []int{1, 9, 0})), "positions out of range are skipped")
	require.Empty(t, appendKey(nil, &protocol.Invocation{Method: sayHello}, []int{0}))

	generic := invocation(&one, &two, &list)
	generic.Method = &protocol.Method{Name: "$invoke"}
	require.Equal(t, "7", string(appendKey(nil, generic, []int{1})))
}

func ptr[T any](v T) *T { return &v }

func TestConsistentHashParameters(t *testing.T) {
	for _, bad := range []string{"hash.nodes=0", "hash.nodes=99999999", "hash.arguments=x", "sayHello.hash.arguments=-1"} {
		_, err := NewConsistentHash(extension.Env{}, url.MustParse("consumer://h/s?"+bad))
		require.Error(t, err, bad)
	}
	b := hashing(t, "hash.arguments=0&sayHello.hash.arguments=1&other.hash.nodes=8")
	targets := list(20)
	p := b.Prepare(sayHello, targets).(*hashPicker)
	require.Equal(t, []int{1}, p.arguments)
	q := b.Prepare(&protocol.Method{Name: "other"}, targets).(*hashPicker)
	require.Equal(t, []int{0}, q.arguments)
	require.Len(t, q.ring, 8*20)
}

func TestMethodsShareARing(t *testing.T) {
	b, targets := hashing(t, ""), list(10)
	a := b.Prepare(sayHello, targets).(*hashPicker)
	c := b.Prepare(&protocol.Method{Name: "other"}, targets).(*hashPicker)
	require.Same(t, &a.ring[0], &c.ring[0])
}
