package gentest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/gen/gentest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// TestAllocations: a generated codec allocates nothing while it writes, and the stub nothing for a call of its own.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		return // the race detector allocates
	}
	all := formats(t)
	for _, name := range []string{"hessian2", "msgpack"} {
		format := all[name]
		o, buf := order(), make([]byte, 0, 4096)
		o.Total = nil // a big number is left to the library in msgpack
		line, user := &gentest.Line{Product: "tea", Quantity: 2, Price: 3.5}, &gentest.User{Name: "Mia", Tags: []string{"a"}}
		for _, v := range []any{line, user, o} {
			require.Zero(t, testing.AllocsPerRun(200, func() {
				w := format.Writer(buf)
				if w.Write(v) != nil {
					panic("not written")
				}
				w.Free()
			}), "%s writes a %T", name, v)
		}
		body := encode(t, format, line)
		var into gentest.Line
		require.LessOrEqual(t, testing.AllocsPerRun(200, func() {
			r := format.Reader(body, serialize.Limits{})
			if r.Read(&into) != nil {
				panic("not read")
			}
			r.Free()
		}), 1.0, "%s reads one string", name)
	}

	sink := protocol.InvokerFunc(func(context.Context, *protocol.Invocation) error { return nil })
	shop, ctx := gentest.NewShop(sink), context.Background()
	o := order()
	require.Zero(t, testing.AllocsPerRun(200, func() {
		if _, err := shop.Place(ctx, o, true); err != nil {
			panic(err)
		}
		if shop.Cancel(ctx, 1, "r") != nil {
			panic("cancel")
		}
	}), "the stub")
	place := gentest.ShopService.Methods[2]
	require.Zero(t, testing.AllocsPerRun(200, func() { place.Free(place.New()) }), "New and Free")
}

// TestPooledCallsAreClean: what one call left behind is not seen by the next one, and replies are not shared.
func TestPooledCallsAreClean(t *testing.T) {
	for _, m := range gentest.ShopService.Methods {
		c := m.New()
		c.Timeout, c.Attempt = 5, 2
		c.Attachments.Set("k", "v")
		m.Free(c)
		c = m.New()
		require.Equal(t, m, c.Method)
		require.Zero(t, c.Timeout)
		require.Zero(t, c.Attempt)
		require.Nil(t, c.Attachments)
		m.Free(c)
		m.Free(c) // a second time does nothing
		require.NotSame(t, m.New(), m.New())
	}
}

func BenchmarkStub(b *testing.B) {
	shop := gentest.NewShop(protocol.InvokerFunc(func(context.Context, *protocol.Invocation) error { return nil }))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := shop.Greet(context.Background(), "x"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteOrder(b *testing.B) {
	types := new(serialize.Types)
	for name, format := range benchFormats(types) {
		b.Run(name, func(b *testing.B) {
			o, buf := order(), make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				w := format.Writer(buf)
				if err := w.Write(o); err != nil {
					b.Fatal(err)
				}
				w.Free()
			}
		})
	}
}
