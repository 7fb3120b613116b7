package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/protocol/dubbo"
	"github.com/ferryrpc/ferry/proxy"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/hessian2"
	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/transport/memory"
	"github.com/ferryrpc/ferry/url"
)

// Item is an argument by pointer.
type Item struct {
	Name  string
	Count int32
	Tags  map[string]string
}

// JavaClassName is the class of Item in Java.
func (*Item) JavaClassName() string { return "com.example.Item" }

// shop is an implementation with methods of all forms.
type shop struct{ dropped chan string }

// Add returns the sum and the kind of its context.
func (shop) Add(_ context.Context, a int32, b int64, c *float64) (float64, error) {
	if c == nil {
		return float64(a) + float64(b), nil
	}
	return float64(a) + float64(b) + *c, nil
}

// Double doubles an item.
func (shop) Double(_ context.Context, i *Item) (*Item, error) {
	if i == nil {
		return nil, nil
	}
	return &Item{i.Name, 2 * i.Count, maps.Clone(i.Tags)}, nil
}

// Check fails for the empty name.
func (shop) Check(_ context.Context, name string) error {
	if name == "" {
		return errors.New("no name")
	}
	return nil
}

// Drop tells the test of a one-way call.
func (s shop) Drop(_ context.Context, name string) error { s.dropped <- name; return nil }

// URLOf has a name of two words that begin with capitals.
func (shop) URLOf(context.Context) (string, error) { return "http://", nil }

// Not one of these has the form of a remote method.
func (shop) NoContext(string) error                     { return nil }
func (shop) NoError(context.Context) string             { return "" }
func (shop) Variadic(context.Context, ...string) error  { return nil }
func (shop) Channel(context.Context, chan int) error    { return nil }
func (shop) Three(context.Context) (int, string, error) { return 0, "", nil }
func (shop) BadReply(context.Context) (func(), error)   { return nil, nil }

// shopClient is what Fill fills.
type shopClient struct {
	Add    func(ctx context.Context, a int32, b int64, c *float64) (float64, error) `ferry:",idempotent"`
	Twice  func(ctx context.Context, i *Item) (*Item, error)                        `ferry:"double"`
	Check  func(ctx context.Context, name string) error
	Drop   func(ctx context.Context, name string) error `ferry:"drop, oneway"`
	URLOf  func(ctx context.Context) (string, error)
	Absent func(ctx context.Context) error
	Other  string
	hidden func()
}

const shopName = "com.example.Shop"

// loop calls impl in the caller's goroutine, and keeps what it saw.
type loop struct {
	methods map[string]*protocol.Method
	impl    any
	seen    *protocol.Method
}

func (l *loop) Invoke(ctx context.Context, c *protocol.Invocation) error {
	l.seen = c.Method
	m, ok := l.methods[c.Method.Name+c.Method.Descriptor]
	if !ok {
		return fmt.Errorf("no method %s(%s)", c.Method.Name, c.Method.Descriptor)
	}
	call := m.New()
	call.Args = c.Args
	if c.Method.Clone != nil {
		call.Args = c.Method.Clone(c.Args)
	}
	err := m.Serve(ctx, l.impl, call)
	if err == nil && c.Reply != nil && c.Reply.Len() > 0 {
		serialize.Copy(c.Reply.At(0), call.Reply.At(0))
	}
	return err
}

func newLoop(t *testing.T, impl any) *loop {
	i, err := proxy.Reflect(shopName, impl)
	require.NoError(t, err)
	l := &loop{methods: map[string]*protocol.Method{}, impl: impl}
	for n, m := range i.Methods {
		require.Equal(t, n, m.Index)
		l.methods[m.Name+m.Descriptor] = m
	}
	return l
}

// overDubbo exports impl and refers to it, in this process but over bytes.
func overDubbo(t *testing.T, impl any) protocol.Invoker {
	transports := &extension.Point[transport.Transport]{Kind: "transport"}
	require.NoError(t, transports.Add("memory", nil, memory.New))
	formats := &extension.Point[serialize.Serializer]{Kind: "serialization"}
	require.NoError(t, formats.Add("hessian2", nil, func(extension.Env, *url.URL) (serialize.Serializer, error) { return hessian2.New(nil), nil }))
	p := dubbo.New(dubbo.Config{Env: extension.Env{Shared: &extension.Shared{}}, Transports: transports, Serializers: formats, ClientTransport: "memory", ServerTransport: "memory"})
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	i, err := proxy.Reflect(shopName, impl)
	require.NoError(t, err)
	u := url.MustParse("dubbo://shop:1/" + shopName + "?timeout=10000")
	e, err := p.Export(&protocol.Service{Interface: i, Invoker: protocol.Implementation(impl)}, u)
	require.NoError(t, err)
	ref, err := p.Refer(t.Context(), i, e.URL())
	require.NoError(t, err)
	return ref
}

func TestReflect(t *testing.T) {
	i, err := proxy.Reflect(shopName, shop{})
	require.NoError(t, err)
	got := map[string]string{}
	for _, m := range i.Methods {
		require.Equal(t, shopName, m.Service)
		got[m.Name+"("+m.Descriptor+")"] = m.Return
		c := m.New()
		require.Same(t, m, c.Method)
	}
	require.Equal(t, map[string]string{"add(IJLjava/lang/Double;)": "D", "double(Lcom/example/Item;)": "Lcom/example/Item;",
		"check(Ljava/lang/String;)": "V", "drop(Ljava/lang/String;)": "V", "urlOf()": "Ljava/lang/String;"}, got)

	for _, bad := range []any{nil, 7, struct{}{}, bare{}, twice{}} {
		_, err := proxy.Reflect(shopName, bad)
		require.ErrorIs(t, err, proxy.ErrType)
	}
}

// twice has two methods that are one in Java.
type twice struct{}

func (twice) ID(context.Context) error { return nil }
func (twice) Id(context.Context) error { return nil } //nolint:revive // the clash is the point

func TestFill(t *testing.T) {
	for name, open := range map[string]func(*testing.T, any) protocol.Invoker{
		"loop":  func(t *testing.T, impl any) protocol.Invoker { return newLoop(t, impl) },
		"dubbo": overDubbo,
	} {
		t.Run(name, func(t *testing.T) {
			impl := shop{make(chan string, 1)}
			var c shopClient
			require.NoError(t, proxy.Fill(open(t, impl), shopName, &c))
			half := 0.5
			sum, err := c.Add(t.Context(), 1, 2, &half)
			require.NoError(t, err)
			require.Equal(t, 3.5, sum)
			sum, err = c.Add(t.Context(), 1, 2, nil)
			require.NoError(t, err)
			require.Equal(t, 3.0, sum)
			item, err := c.Twice(t.Context(), &Item{"tea", 2, map[string]string{"a": "b"}})
			require.NoError(t, err)
			require.Equal(t, &Item{"tea", 4, map[string]string{"a": "b"}}, item)
			item, err = c.Twice(t.Context(), nil)
			require.NoError(t, err)
			require.Nil(t, item)
			require.NoError(t, c.Check(t.Context(), "x"))
			require.ErrorContains(t, c.Check(t.Context(), ""), "no name")
			require.NoError(t, c.Drop(t.Context(), "gone"))
			require.Equal(t, "gone", <-impl.dropped)
			text, err := c.URLOf(nil) //nolint:staticcheck // a nil context is what is tested
			require.NoError(t, err)
			require.Equal(t, "http://", text)
			require.ErrorContains(t, c.Absent(t.Context()), "no method")
			require.Nil(t, c.hidden)
		})
	}
}

func TestFillOptions(t *testing.T) {
	l := newLoop(t, shop{make(chan string, 1)})
	var c shopClient
	require.NoError(t, proxy.Fill(l, shopName, &c))
	_, _ = c.Add(t.Context(), 1, 2, nil)
	require.True(t, l.seen.Idempotent)
	require.Equal(t, -1, l.seen.Index)
	require.Equal(t, protocol.Unary, l.seen.Kind)
	_ = c.Drop(t.Context(), "x")
	require.Equal(t, protocol.OneWay, l.seen.Kind)
	require.False(t, l.seen.Idempotent)

	for want, target := range map[string]any{
		"Fill wants a pointer to a struct of funcs, not int": 7,
		"not <nil>":                       nil,
		"not proxy_test.shopClient":       shopClient{},
		"has no exported func field":      &struct{ A int }{},
		"does not take a context.Context": &struct{ A func() error }{},
		"does not return error":           &struct{ A func(context.Context) }{},
		`field A has the unknown option "x"`: &struct {
			A func(context.Context) error `ferry:"a,x"`
		}{},
		"chan int has no Java type": &struct {
			A func(context.Context, chan int) error
		}{},
		"func() has no Java type": &struct {
			A func(context.Context) (func(), error)
		}{},
		"take a context.Context first": &struct {
			A func(context.Context, ...string) error
		}{},
	} {
		err := proxy.Fill(l, shopName, target)
		require.ErrorIs(t, err, proxy.ErrType)
		require.ErrorContains(t, err, want)
	}
}

func TestUnary(t *testing.T) {
	for name, in := range map[string]protocol.Invoker{"loop": newLoop(t, shop{}), "dubbo": overDubbo(t, shop{})} {
		double, err := proxy.Unary[*Item, *Item](in, shopName, "double")
		require.NoError(t, err)
		got, err := double(t.Context(), &Item{"tea", 2, nil})
		require.NoError(t, err, name)
		require.Equal(t, &Item{"tea", 4, nil}, got)

		check, err := proxy.Unary[string, any](in, shopName, "check")
		require.NoError(t, err)
		nothing, err := check(t.Context(), "")
		require.ErrorContains(t, err, "no name")
		require.Nil(t, nothing)
	}
	_, err := proxy.Unary[chan int, string](newLoop(t, shop{}), shopName, "x")
	require.EqualError(t, err, "com.example.Shop.x: proxy: type cannot be called remotely: chan int has no Java type")
	_, err = proxy.Unary[string, uint](newLoop(t, shop{}), shopName, "x")
	require.ErrorIs(t, err, proxy.ErrType)
}

// TestHalfAReply: what a failed call left in the reply does not reach the caller.
func TestHalfAReply(t *testing.T) {
	in := protocol.InvokerFunc(func(_ context.Context, c *protocol.Invocation) error {
		switch p := c.Reply.At(0).(type) {
		case *string:
			*p = "half"
		}
		return errors.New("lost")
	})
	get, err := proxy.Unary[string, string](in, "s", "m")
	require.NoError(t, err)
	got, err := get(t.Context(), "")
	require.Error(t, err)
	require.Empty(t, got)
	var c struct {
		Get func(context.Context) (string, error)
	}
	require.NoError(t, proxy.Fill(in, "s", &c))
	got, err = c.Get(t.Context())
	require.Error(t, err)
	require.Empty(t, got)
}

// TestClones: a call that outlives its caller shares nothing with it.
func TestClones(t *testing.T) {
	var cloned protocol.Row
	in := protocol.InvokerFunc(func(_ context.Context, c *protocol.Invocation) error {
		cloned = c.Method.Clone(c.Args)
		return nil
	})
	item := &Item{Name: "tea", Tags: map[string]string{"a": "b"}}
	double, err := proxy.Unary[*Item, *Item](in, shopName, "double")
	require.NoError(t, err)
	var c shopClient
	require.NoError(t, proxy.Fill(in, shopName, &c))
	for _, call := range []func(context.Context, *Item) (*Item, error){double, c.Twice} {
		item.Tags["a"] = "b"
		_, err := call(t.Context(), item)
		require.NoError(t, err)
		item.Tags["a"] = "changed"
		require.Equal(t, &Item{Name: "tea", Tags: map[string]string{"a": "b"}}, *cloned.At(0).(**Item))
	}
}
