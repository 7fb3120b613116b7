package proxy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// TestGenericMethodHasTheParametersOfTheRealOne: $invoke of sayHello is looked up as sayHello, and what runs later works
// on a copy that shares nothing.
func TestGenericMethodHasTheParametersOfTheRealOne(t *testing.T) {
	m := GenericMethod(&protocol.Method{Service: "S", Name: "sayHello", Idempotent: true})
	require.Equal(t, protocol.GenericInvoke, m.Name)
	require.Equal(t, "sayHello", m.Key())
	require.True(t, m.Idempotent)
	type params struct {
		Retries int `url:"retries"`
	}
	p, err := protocol.DecodePerMethod[params](url.MustParse("x://h/S?retries=1&sayHello.retries=5"), nil)
	require.NoError(t, err)
	require.Equal(t, 5, p.For(m).Retries)
	require.Equal(t, 1, p.For(protocol.NewGenericMethod("S")).Retries)

	args := &protocol.GenericArgs{Method: "sayHello", Types: []string{"int"}, Args: []any{map[string]any{"a": []any{1}}}}
	clone := m.Clone(args).(*protocol.GenericArgs)
	require.Equal(t, args, clone)
	args.Args[0].(map[string]any)["a"].([]any)[0] = 2
	args.Types[0] = "long"
	require.Equal(t, []any{map[string]any{"a": []any{1}}}, clone.Args)
	require.Equal(t, []string{"int"}, clone.Types)
}
