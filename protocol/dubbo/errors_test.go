package dubbo_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// OutOfStock is an error with fields that both sides may know.
type OutOfStock struct {
	Item string
	Left int32
}

// JavaClassName is the class of OutOfStock in Java.
func (*OutOfStock) JavaClassName() string { return "com.example.OutOfStockException" }

// Error names the item.
func (o *OutOfStock) Error() string { return fmt.Sprintf("%s: %d left", o.Item, o.Left) }

// TestApplicationErrors: an error crosses with its text and class, and with its fields where both sides know its type.
func TestApplicationErrors(t *testing.T) {
	const runtime, own = "java.lang.RuntimeException", "com.example.OutOfStockException"
	stock := &OutOfStock{"tea", 3}
	for _, format := range []string{"hessian2", "msgpack", "json"} {
		for name, c := range map[string]struct {
			err            error
			class, message string
			typed          bool
		}{
			"plain":   {errors.New("boom"), runtime, "boom", false},
			"empty":   {errors.New(""), runtime, "", false},
			"typed":   {stock, own, "tea: 3 left", true},
			"wrapped": {fmt.Errorf("order 7: %w", stock), own, "order 7: tea: 3 left", true},
			"of a call below": {&protocol.Error{Code: protocol.Timeout, Service: "S", Method: "m", Message: "late"}, runtime,
				"ferry: S.m: timeout: late (outcome: unknown)", false},
		} {
			t.Run(format+"/"+name, func(t *testing.T) {
				i := service(demo, method("get", "", func(context.Context, serialize.Row) (any, error) { return nil, c.err }))
				server := open(t, stock)
				address := server.export(i, "serialization="+format).URL().Address()
				_, err := call(t.Context(), open(t, stock).refer(address, i, "serialization="+format), i.Methods[0])
				e := failure(t, err)
				require.Equal(t, protocol.Application, e.Code)
				require.Equal(t, protocol.Executed, e.Outcome)
				if format == "hessian2" || c.typed {
					require.Equal(t, c.class, e.Class)
				}
				require.Equal(t, c.message, e.Message)
				var got *OutOfStock
				require.Equal(t, c.typed, errors.As(err, &got))
				if c.typed {
					require.Equal(t, stock, got)
				}

				_, err = call(t.Context(), open(t).refer(address, i, "serialization="+format), i.Methods[0])
				e = failure(t, err)
				require.Equal(t, c.message, e.Message, "a consumer that does not know the type")
				require.NoError(t, e.Cause)
			})
		}
	}
}

// TestExceptionsOfJava: a real throwable with causes and a stack gives its class and one line.
func TestExceptionsOfJava(t *testing.T) {
	trace := "com.example.BizException: no tea\n\tat com.example.Shop.order(Shop.java:12)\n\t... 17 more\nCaused by: java.io.IOException: wet\n\tat x"
	w := plain.Writer(nil)
	flag := int32(0)
	require.NoError(t, w.Write(&flag))
	require.NoError(t, w.Write(&serialize.Exception{Class: "java.lang.RuntimeException", Message: trace}))
	server := play(t, always(exchange.OK, w.Bytes()))
	w.Free()
	m := method("get", "", nil)
	_, err := call(t.Context(), open(t).refer(server.address(), service(demo, m), "timeout=10000"), m)
	e := failure(t, err)
	require.Equal(t, trace, e.Message, "nothing is lost")
	require.ErrorContains(t, err, "application: com.example.BizException: no tea; Caused by: java.io.IOException: wet (after")
}
