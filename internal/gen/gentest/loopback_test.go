package gentest_test

import (
	"context"
	"fmt"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry/internal/gen/gentest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/hessian2"
	"github.com/ferryrpc/ferry/serialize/json"
	"github.com/ferryrpc/ferry/serialize/msgpack"
)

// The msgpack library keeps a goroutine for each type that it has read on its own; gnet, which package ferry brings along,
// starts some before main.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(), goleak.IgnoreTopFunction("github.com/vmihailenco/msgpack/v5.cachedValue.func1"))
}

// loopback carries a call to impl and back as bytes of one format, as a protocol does.
type loopback struct {
	format serialize.Serializer
	impl   any
	seen   *protocol.Method
}

func (l *loopback) Invoke(ctx context.Context, c *protocol.Invocation) error {
	l.seen = c.Method
	in := c.Method.New()
	defer c.Method.Free(in)
	if err := l.carry(c.Args, in.Args); err != nil {
		return err
	}
	err := c.Method.Serve(ctx, l.impl, in)
	if err != nil {
		var back serialize.Exception
		if err := l.carry(serialize.Values{&serialize.Exception{Class: classOf(err), Message: err.Error(), Value: err}}, serialize.Values{&back}); err != nil {
			return err
		}
		if typed, ok := back.Value.(error); ok {
			return typed
		}
		return fmt.Errorf("%s", back.Message)
	}
	if c.Reply == nil {
		return nil
	}
	return l.carry(in.Reply, c.Reply)
}

func classOf(err error) string {
	if c, ok := err.(interface{ JavaClassName() string }); ok {
		return c.JavaClassName()
	}
	return ""
}

// carry writes one row and reads it into another.
func (l *loopback) carry(from, to protocol.Row) error {
	w := l.format.Writer(nil)
	err := w.Write(from)
	body := w.Bytes()
	w.Free()
	if err != nil {
		return err
	}
	r := l.format.Reader(body, serialize.Limits{})
	defer r.Free()
	if err := r.Read(to); err != nil {
		return err
	}
	if r.Rest() != 0 {
		return fmt.Errorf("%d bytes of %d left over", r.Rest(), len(body))
	}
	return nil
}

// formats returns every format with the types of the service registered.
func formats(t *testing.T) map[string]serialize.Serializer {
	types := new(serialize.Types)
	require.NoError(t, gentest.RegisterShopTypes(types))
	return map[string]serialize.Serializer{"hessian2": hessian2.New(types), "msgpack": msgpack.New(types), "json": json.New(types)}
}

func each(t *testing.T, f func(t *testing.T, shop gentest.Shop, impl *keeper, l *loopback)) {
	for name, format := range formats(t) {
		t.Run(name, func(t *testing.T) {
			impl := &keeper{}
			l := &loopback{format: format, impl: impl}
			f(t, gentest.NewShop(l), impl, l)
		})
	}
}

// A keeper answers with its arguments and keeps what else it was given.
type keeper struct {
	args []any
	err  error
}

func (k *keeper) keep(args ...any) error {
	k.args = args
	return k.err
}

func (k *keeper) Greet(_ context.Context, name string) (string, error) {
	return "hello " + name, k.keep(name)
}
func (k *keeper) Scalars(_ context.Context, a bool, b int8, c int16, d int32, e int, f int64, g float32, h float64, s string) (*gentest.Scalars, error) {
	return &gentest.Scalars{Bool: a, Int8: b, Int16: c, Int32: d, Int: e, Int64: f, Float32: g, Float64: h, String: s, PBool: &a, PInt32: &d, PInt64: &f, PFloat: &h, PString: &s}, k.keep()
}
func (k *keeper) Place(_ context.Context, o *gentest.Order, notify bool) (*gentest.Order, error) {
	return o, k.keep(notify)
}
func (k *keeper) Find(_ context.Context, ids []int64, filter map[string]string) (map[string]*gentest.Order, error) {
	return map[string]*gentest.Order{"a": {URLPath: "x"}, "none": nil}, k.keep(ids, filter)
}
func (k *keeper) Echo(_ context.Context, v any) (any, error) { return v, k.keep(v) }
func (k *keeper) Blob(_ context.Context, data []byte, at time.Time, n *big.Int) ([]byte, error) {
	return data, k.keep(at, n)
}
func (k *keeper) Matrix(_ context.Context, rows [][]float64, index map[int32][]string, byUser []map[string]gentest.User) ([][]float64, error) {
	return rows, k.keep(index, byUser)
}
func (k *keeper) Optional(_ context.Context, n *int32, s *string, at *time.Time) (*bool, error) {
	yes := true
	if n == nil {
		return nil, k.keep(n, s, at)
	}
	return &yes, k.keep(n, s, at)
}
func (k *keeper) Exotic(_ context.Context, x *gentest.Exotic, day time.Time, price string, names []string, n int) (gentest.Color, error) {
	return x.Color, k.keep(x, day, price, names, n)
}
func (k *keeper) Log(_ context.Context, event gentest.Event) error        { return k.keep(event) }
func (k *keeper) Ping(context.Context) error                              { return k.keep("ping") }
func (k *keeper) Cancel(_ context.Context, id int64, reason string) error { return k.keep(id, reason) }
func (k *keeper) CancelAll(_ context.Context, ids []int64) (int, error)   { return len(ids), k.keep(ids) }
func (k *keeper) Tree(_ context.Context, depth int) (*gentest.Node, error) {
	root := &gentest.Node{Name: "root"}
	for range depth {
		root.Children = append(root.Children, &gentest.Node{Name: "child", Parent: root})
	}
	return root, k.keep()
}

// same requires equal values; times are equal when they are the same instant, since formats differ in the zone they give.
func same(t *testing.T, want, got any) {
	t.Helper()
	require.Equal(t, inUTC(want), inUTC(got))
}

// inUTC returns a copy of v with all its times in UTC.
func inUTC(v any) any {
	var out any
	serialize.Copy(&out, &v)
	box := reflect.New(reflect.TypeFor[any]()).Elem()
	box.Set(reflect.ValueOf(out))
	walk(box, map[uintptr]bool{})
	return box.Interface()
}

func walk(v reflect.Value, seen map[uintptr]bool) {
	switch v.Kind() {
	case reflect.Interface, reflect.Map:
		if v.IsNil() {
			return
		}
	}
	switch v.Kind() {
	case reflect.Interface:
		e := reflect.New(v.Elem().Type()).Elem()
		e.Set(v.Elem())
		walk(e, seen)
		v.Set(e)
	case reflect.Pointer:
		if !v.IsNil() && !seen[v.Pointer()] {
			seen[v.Pointer()] = true
			walk(v.Elem(), seen)
		}
	case reflect.Struct:
		if at, ok := v.Interface().(time.Time); ok {
			v.Set(reflect.ValueOf(at.UTC()))
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				walk(f, seen)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			walk(v.Index(i), seen)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			e := reflect.New(v.Type().Elem()).Elem()
			e.Set(it.Value())
			walk(e, seen)
			v.SetMapIndex(it.Key(), e)
		}
	}
}

func benchFormats(types *serialize.Types) map[string]serialize.Serializer {
	return map[string]serialize.Serializer{"hessian2": hessian2.New(types), "msgpack": msgpack.New(types)}
}
