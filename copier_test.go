package ferry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/ferryrpc/ferry/serialize"
)

// TestCopier: what is kept shares nothing with the original, in all that a service may exchange.
func TestCopier(t *testing.T) {
	k := copier{Builtin()}
	list := map[string][]int64{"a": {1}}
	var got map[string][]int64
	size, err := k.Copy(serialize.Values{&got}, serialize.Values{&list})
	require.NoError(t, err)
	require.Positive(t, size)
	list["a"][0] = 2
	require.Equal(t, map[string][]int64{"a": {1}}, got)

	at := time.Unix(1, 123456789) // finer than hessian2 writes it
	var back time.Time
	_, err = k.Copy(serialize.Values{&back}, serialize.Values{&at})
	require.NoError(t, err)
	require.True(t, at.Equal(back))

	m := wrapperspb.String("x")
	var other *wrapperspb.StringValue
	_, err = k.Copy(serialize.Values{&other}, serialize.Values{&m})
	require.NoError(t, err)
	m.Value = "y"
	require.Equal(t, "x", other.Value)
	one, err := k.Key(serialize.Values{&m})
	require.NoError(t, err)
	two, err := k.Key(serialize.Values{&other})
	require.NoError(t, err)
	require.NotEqual(t, one, two)

	var none *wrapperspb.StringValue
	_, err = k.Copy(serialize.Values{&other}, serialize.Values{&none})
	require.NoError(t, err)
	require.Nil(t, other)
	text := "x"
	_, err = k.Copy(serialize.Values{&other}, serialize.Values{&text})
	require.Error(t, err)
	ch := make(chan int)
	_, err = k.Key(serialize.Values{&ch})
	require.Error(t, err)
	empty, err := k.Key(nil)
	require.NoError(t, err)
	require.Empty(t, empty)
}
