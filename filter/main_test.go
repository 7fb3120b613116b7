package filter

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type row []any

func (r row) Len() int     { return len(r) }
func (r row) At(i int) any { return r[i] }

type constructor = func(extension.Env, *url.URL) (protocol.Filter, error)

// around wraps in with the filter that open makes from the parameters.
func around(t testing.TB, open constructor, params string, in protocol.InvokerFunc) protocol.Invoker {
	t.Helper()
	f, err := open(extension.Env{}, url.MustParse("dubbo://h:1/com.example.Greeter?"+params))
	require.NoError(t, err)
	return f(in)
}

func method(name string, index int) *protocol.Method {
	return &protocol.Method{Service: "com.example.Greeter", Name: name, Index: index}
}

func call(name string) *protocol.Invocation { return &protocol.Invocation{Method: method(name, 0)} }

func ok(context.Context, *protocol.Invocation) error { return nil }

func refused(t testing.TB, err error, code protocol.Code, o protocol.Outcome) {
	t.Helper()
	var e *protocol.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code)
	require.Equal(t, o, e.Outcome)
	require.Equal(t, "com.example.Greeter", e.Service)
}
