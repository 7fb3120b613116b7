package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// row holds pointers to strings.
type row []*string

func (r row) Len() int     { return len(r) }
func (r row) At(i int) any { return r[i] }

// method returns a method that takes and returns a string.
func method(name string, index int) *protocol.Method {
	m := &protocol.Method{Service: "com.example.Greeter", Name: name, Index: index}
	m.New = func() *protocol.Invocation {
		return &protocol.Invocation{Method: m, Args: row{new(string)}, Reply: row{new(string)}}
	}
	m.Clone = func(args protocol.Row) protocol.Row {
		s := *args.At(0).(*string)
		return row{&s}
	}
	return m
}

func call(m *protocol.Method, arg string) *protocol.Invocation {
	c := m.New()
	*c.Args.At(0).(*string) = arg
	return c
}

// fake is a provider whose behaviour the test gives.
type fake struct {
	url    *url.URL
	away   atomic.Bool
	closed atomic.Bool
	calls  atomic.Int64
	mu     sync.Mutex
	do     func(ctx context.Context, c *protocol.Invocation) error
}

func (f *fake) URL() *url.URL   { return f.url }
func (f *fake) Available() bool { return !f.away.Load() }
func (f *fake) Close() error    { f.closed.Store(true); return nil }

func (f *fake) Invoke(ctx context.Context, c *protocol.Invocation) error {
	f.calls.Add(1)
	f.mu.Lock()
	do := f.do
	f.mu.Unlock()
	if do == nil {
		return nil
	}
	return do(ctx, c)
}

func (f *fake) does(do func(ctx context.Context, c *protocol.Invocation) error) {
	f.mu.Lock()
	f.do = do
	f.mu.Unlock()
}

func fails(code protocol.Code, o protocol.Outcome) func(context.Context, *protocol.Invocation) error {
	return func(context.Context, *protocol.Invocation) error {
		return &protocol.Error{Code: code, Outcome: o, Message: "test"}
	}
}

func newFake(i int, params string) *fake {
	return &fake{url: url.MustParse(fmt.Sprintf("dubbo://10.0.0.%d:20880/com.example.Greeter?%s", i+1, params))}
}

// fixed is a Directory with one list.
type fixed struct{ list atomic.Pointer[Snapshot] }

func (d *fixed) List(*protocol.Invocation) *Snapshot { return d.list.Load() }
func (d *fixed) Close() error                        { return nil }

func fakes(n int, params string) (*fixed, []*fake) {
	d := &fixed{}
	refs := make([]*fake, n)
	targets := make([]*loadbalance.Target, n)
	for i := range refs {
		refs[i] = newFake(i, params)
		targets[i] = &loadbalance.Target{Ref: refs[i], Weight: 100}
	}
	d.list.Store(NewSnapshot("com.example.Greeter", targets...))
	return d, refs
}

// inOrder is a balancer that takes the first target that was not tried.
type inOrder struct{}

func (inOrder) Prepare(_ *protocol.Method, targets []*loadbalance.Target) loadbalance.Picker {
	return orderPicker(targets)
}

type orderPicker []*loadbalance.Target

func (p orderPicker) Pick(_ *protocol.Invocation, tried loadbalance.Tried) *loadbalance.Target {
	for _, t := range p {
		if !tried.Has(t) {
			return t
		}
	}
	return nil
}

type opener func(extension.Env, *url.URL) (Cluster, error)

// join makes an Invoker over d with the consumer's parameters.
func join(t testing.TB, open opener, params string, d Directory) protocol.Invoker {
	t.Helper()
	c, err := open(extension.Env{Logger: slog.New(slog.DiscardHandler)}, consumer(params))
	require.NoError(t, err)
	return c.Join(d, inOrder{})
}

func consumer(params string) *url.URL {
	return url.MustParse("consumer://10.9.9.9/com.example.Greeter?" + params)
}

func counts(refs []*fake) []int64 {
	out := make([]int64, len(refs))
	for i, r := range refs {
		out[i] = r.calls.Load()
	}
	return out
}

func asError(t testing.TB, err error) *protocol.Error {
	t.Helper()
	var e *protocol.Error
	require.ErrorAs(t, err, &e)
	return e
}
