package idempotent_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// Methods that are not recorded cost nothing, beside others that are and in services that record none.
func TestUnrecordedCallsAllocNothing(t *testing.T) {
	x := ferry.Builtin()
	m := &protocol.Method{Service: service, Name: "pay", Index: 0}
	c := &protocol.Invocation{Method: m}
	for _, params := range []string{"", "place.idempotent=memory", "idempotent=true"} {
		f, err := x.Idempotent.NewFilter(extension.Env{}, url.MustParse("dubbo://127.0.0.1:1/"+service+"?"+params))
		require.NoError(t, err)
		in := f(protocol.InvokerFunc(func(context.Context, *protocol.Invocation) error { return nil }))
		ctx := context.Background()
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = in.Invoke(ctx, c) }), params)
	}
}
