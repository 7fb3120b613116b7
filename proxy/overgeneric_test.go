package proxy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/proxy"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/hessian2"
)

// TestGeneric: typed calls travel as $invoke, with maps for objects, whether or not the caller's format knows the class.
func TestGeneric(t *testing.T) {
	types := &serialize.Types{}
	require.NoError(t, types.Add("com.example.Item", &Item{}))
	for _, format := range []serialize.Serializer{hessian2.New(nil), hessian2.New(types)} {
		var c shopClient
		require.NoError(t, proxy.Fill(proxy.Generic(overDubbo(t, shop{}), format), shopName, &c))
		item, err := c.Twice(t.Context(), &Item{"tea", 2, map[string]string{"a": "b"}})
		require.NoError(t, err)
		require.Equal(t, &Item{"tea", 4, map[string]string{"a": "b"}}, item)
		item, err = c.Twice(t.Context(), nil)
		require.NoError(t, err)
		require.Nil(t, item)
		half := 0.5
		sum, err := c.Add(t.Context(), 1, 2, &half)
		require.NoError(t, err)
		require.Equal(t, 3.5, sum)
		require.NoError(t, c.Check(t.Context(), "x"))
		require.ErrorContains(t, c.Check(t.Context(), ""), "no name")
		require.ErrorContains(t, c.Absent(t.Context()), `no method "absent"`)
	}
}
