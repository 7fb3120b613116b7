package inproc_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/leak"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/protocol/inproc"
	"github.com/ferryrpc/ferry/url"
)

func TestMain(m *testing.M) { leak.Main(m) }

const (
	patience = 10 * time.Second
	name     = "com.example.Demo"
)

// args are a text, a list and a map.
type args struct {
	Text string
	List []string
	Map  map[string][]int
}

// Len implements protocol.Row.
func (*args) Len() int { return 3 }

// At implements protocol.Row.
func (a *args) At(i int) any { return []any{&a.Text, &a.List, &a.Map}[i] }

type handler func(ctx context.Context, a *args) (any, error)

func method(name string, serve handler) *protocol.Method {
	m := &protocol.Method{Service: "com.example.Demo", Name: name, Descriptor: "Ljava/lang/String;Ljava/util/List;Ljava/util/Map;"}
	m.New = func() *protocol.Invocation {
		return &protocol.Invocation{Method: m, Args: &args{}, Reply: &protocol.AnyRow{}}
	}
	m.Serve = func(ctx context.Context, _ any, c *protocol.Invocation) error {
		v, err := serve(ctx, c.Args.(*args))
		c.Reply.(*protocol.AnyRow).Value = v
		return err
	}
	return m
}

// pair exports a service of one method and refers to it.
func pair(t *testing.T, params string, m *protocol.Method, filters ...protocol.Filter) (protocol.Reference, protocol.Exporter, *inproc.Protocol) {
	p := inproc.New()
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	i := &protocol.Interface{Name: name, Methods: []*protocol.Method{m}}
	u := url.MustParse("inproc://local/" + name + "?" + params)
	e, err := p.Export(&protocol.Service{Interface: i, Invoker: protocol.Chain(protocol.Implementation(nil), filters...)}, u)
	require.NoError(t, err)
	require.Equal(t, u, e.URL())
	ref, err := p.Refer(t.Context(), i, u)
	require.NoError(t, err)
	return ref, e, p
}

func call(ctx context.Context, in protocol.Invoker, m *protocol.Method, a args) (any, error) {
	c := &protocol.Invocation{Method: m, Args: &a, Reply: &protocol.AnyRow{}}
	err := in.Invoke(ctx, c)
	return c.Reply.(*protocol.AnyRow).Value, err
}

func failure(t *testing.T, err error) *protocol.Error {
	t.Helper()
	var e *protocol.Error
	require.ErrorAs(t, err, &e)
	require.NotContains(t, err.Error(), "\n")
	require.Equal(t, "inproc", e.Address)
	return e
}

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

// TestCall: arguments, attachments, deadline and reply travel as they would to another process.
func TestCall(t *testing.T) {
	m := method("get", func(ctx context.Context, a *args) (any, error) {
		require.Equal(t, protocol.Attachments{"k", "v"}, protocol.IncomingAttachments(ctx))
		require.Nil(t, protocol.AttachmentsFrom(ctx), "the caller's context does not travel")
		require.True(t, protocol.SetReplyAttachment(ctx, "by", "me"))
		d, ok := ctx.Deadline()
		require.True(t, ok)
		require.WithinDuration(t, time.Now().Add(2*time.Second), d, time.Second)
		return a.Text + a.List[0], nil
	})
	ref, _, _ := pair(t, "timeout=2000", m)
	require.True(t, ref.Available())
	c := &protocol.Invocation{Method: m, Args: &args{Text: "a", List: []string{"b"}}, Reply: &protocol.AnyRow{}, Attachments: protocol.Attachments{"k", "v"}}
	require.NoError(t, ref.Invoke(protocol.WithAttachment(t.Context(), "other", "x"), c))
	require.Equal(t, "ab", c.Reply.(*protocol.AnyRow).Value)
	require.Equal(t, protocol.Attachments{"by", "me"}, c.ReplyAttachments)
}

// TestCopies: neither side sees what the other does to a slice or map afterwards.
func TestCopies(t *testing.T) {
	var got *args
	kept := []string{"kept"}
	clone := func(r protocol.Row) protocol.Row { c := *r.(*args); return &c }
	for _, clone := range []func(protocol.Row) protocol.Row{nil, clone} {
		m := method("get", func(_ context.Context, a *args) (any, error) {
			got = a
			a.List[0], a.Map["m"][0] = "handler's", 99
			return kept, nil
		})
		m.Clone = clone
		ref, _, _ := pair(t, "", m)
		mine := args{"t", []string{"mine"}, map[string][]int{"m": {1}}}
		reply, err := call(t.Context(), ref, m, mine)
		require.NoError(t, err)
		require.Equal(t, args{"t", []string{"mine"}, map[string][]int{"m": {1}}}, mine)
		require.Equal(t, args{"t", []string{"handler's"}, map[string][]int{"m": {99}}}, *got)
		reply.([]string)[0] = "caller's"
		require.Equal(t, []string{"kept"}, kept)
	}

	ref, _, _ := pair(t, "", method("get", nil))
	list := []any{"a"}
	echo := protocol.NewEchoMethod(name).New()
	echo.Args.(*protocol.AnyRow).Value = list
	require.NoError(t, ref.Invoke(t.Context(), echo))
	list[0] = "b"
	require.Equal(t, []any{"a"}, echo.Reply.(*protocol.AnyRow).Value)
}

// TestGivingUp: a caller that gives up does not wait for the handler, whose context ends.
func TestGivingUp(t *testing.T) {
	cause := errors.New("a reason")
	const soon = 30 * time.Millisecond
	for name, c := range map[string]struct {
		ctx     func() (context.Context, func())
		timeout time.Duration
		code    protocol.Code
		outcome protocol.Outcome
		text    string
		runs    bool
	}{
		"timeout":         {func() (context.Context, func()) { return context.Background(), func() {} }, soon, protocol.Timeout, protocol.OutcomeUnknown, "no reply within 30ms", true},
		"deadline":        {deadline(soon), time.Minute, protocol.Timeout, protocol.OutcomeUnknown, "no reply before the caller's deadline", true},
		"deadline passed": {deadline(-soon), time.Minute, protocol.DeadlineExceeded, protocol.NotSent, "the caller's deadline passed before the call was sent", false},
		"canceled":        {canceled(soon, cause), time.Minute, protocol.Canceled, protocol.OutcomeUnknown, "a reason", true},
		"canceled before": {canceled(0, cause), time.Minute, protocol.Canceled, protocol.NotSent, "a reason", false},
	} {
		t.Run(name, func(t *testing.T) {
			ended, leave := make(chan error, 1), make(chan struct{})
			m := method("get", func(ctx context.Context, _ *args) (any, error) {
				<-ctx.Done()
				<-leave
				ended <- ctx.Err()
				return nil, nil
			})
			ref, _, _ := pair(t, "", m)
			ctx, cancel := c.ctx()
			defer cancel()
			err := ref.Invoke(ctx, &protocol.Invocation{Method: m, Args: &args{}, Reply: &protocol.AnyRow{}, Timeout: c.timeout})
			e := failure(t, err)
			require.Equal(t, c.code, e.Code, err)
			require.Equal(t, c.outcome, e.Outcome)
			require.ErrorContains(t, err, c.text)
			close(leave)
			if c.runs {
				require.Error(t, receive(t, ended))
			}
			require.Empty(t, ended)
		})
	}
}

// TestHandlerNoticesFirst: a handler that fails because its caller's time is over is a timeout, whoever sees that first; a
// deadline of its own is its error.
func TestHandlerNoticesFirst(t *testing.T) {
	m := method("get", func(ctx context.Context, _ *args) (any, error) { <-ctx.Done(); return nil, ctx.Err() })
	own := method("own", func(context.Context, *args) (any, error) { return nil, context.DeadlineExceeded })
	ref, _, _ := pair(t, "", m)
	for range 100 {
		e := failure(t, ref.Invoke(context.Background(), &protocol.Invocation{Method: m, Args: &args{}, Reply: &protocol.AnyRow{}, Timeout: time.Millisecond}))
		require.Equal(t, protocol.Timeout, e.Code, e)
		require.Equal(t, protocol.OutcomeUnknown, e.Outcome)
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		e = failure(t, ref.Invoke(ctx, &protocol.Invocation{Method: m, Args: &args{}, Reply: &protocol.AnyRow{}, Timeout: time.Minute}))
		require.Contains(t, []protocol.Code{protocol.Timeout, protocol.DeadlineExceeded}, e.Code, e)
		require.NotEqual(t, protocol.Executed, e.Outcome)
		cancel()
	}
	ref, _, _ = pair(t, "", own)
	e := failure(t, ref.Invoke(context.Background(), &protocol.Invocation{Method: own, Args: &args{}, Reply: &protocol.AnyRow{}, Timeout: time.Minute}))
	require.Equal(t, protocol.Application, e.Code, e)
}

func deadline(d time.Duration) func() (context.Context, func()) {
	return func() (context.Context, func()) {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		return ctx, cancel
	}
}

func canceled(d time.Duration, cause error) func() (context.Context, func()) {
	return func() (context.Context, func()) {
		ctx, cancel := context.WithCancelCause(context.Background())
		if d == 0 {
			cancel(cause)
		} else {
			time.AfterFunc(d, func() { cancel(cause) })
		}
		return ctx, func() { cancel(nil) }
	}
}

// TestErrors: what a handler or a filter answers with, as a caller in another process would see it.
func TestErrors(t *testing.T) {
	cause := &stock{3}
	own := func(code protocol.Code) error {
		return &protocol.Error{Code: code, Service: name, Method: "get", Message: "said so"}
	}
	for what, c := range map[string]struct {
		handler, filter func() error
		code            protocol.Code
		outcome         protocol.Outcome
		class, message  string
	}{
		"error":    {handler: func() error { return errors.New("boom") }, code: protocol.Application, outcome: protocol.Executed, class: "java.lang.RuntimeException", message: "boom"},
		"typed":    {handler: func() error { return fmt.Errorf("order: %w", cause) }, code: protocol.Application, outcome: protocol.Executed, class: "com.example.Stock", message: "order: 3 left"},
		"panic":    {handler: func() error { panic("help") }, code: protocol.Application, outcome: protocol.Executed, class: "java.lang.RuntimeException", message: "panic in com.example.Demo.get: help"},
		"refusal":  {filter: func() error { return own(protocol.Forbidden) }, code: protocol.Forbidden, outcome: protocol.NotStarted},
		"limit":    {filter: func() error { return own(protocol.LimitExceeded) }, code: protocol.LimitExceeded, outcome: protocol.NotStarted},
		"plain":    {filter: func() error { return errors.New("said so") }, code: protocol.Unknown, outcome: protocol.NotStarted},
		"f. panic": {filter: func() error { panic("said so") }, code: protocol.Unknown, outcome: protocol.NotStarted},
	} {
		t.Run(what, func(t *testing.T) {
			m := method("get", func(context.Context, *args) (any, error) { return nil, c.handler() })
			var filters []protocol.Filter
			if c.filter != nil {
				filters = append(filters, func(protocol.Invoker) protocol.Invoker {
					return protocol.InvokerFunc(func(context.Context, *protocol.Invocation) error { return c.filter() })
				})
			}
			ref, _, _ := pair(t, "timeout=60000", m, filters...)
			_, err := call(t.Context(), ref, m, args{})
			e := failure(t, err)
			require.Equal(t, c.code, e.Code)
			require.Equal(t, c.outcome, e.Outcome)
			require.Equal(t, c.class, e.Class)
			require.Equal(t, c.message, e.Message)
			if c.filter != nil {
				require.ErrorContains(t, err, "said so (after")
			}
			var s *stock
			require.Equal(t, what == "typed", errors.As(err, &s))
		})
	}
}

type stock struct{ left int }

func (s *stock) Error() string       { return fmt.Sprint(s.left, " left") }
func (*stock) JavaClassName() string { return "com.example.Stock" }

// TestOneWay: the caller does not wait, and hears nothing.
func TestOneWay(t *testing.T) {
	for _, params := range []string{"get.return=false", ""} {
		leave, ran := make(chan struct{}), make(chan error, 1)
		m := method("get", func(ctx context.Context, _ *args) (any, error) {
			<-leave
			ran <- ctx.Err()
			return nil, errors.New("nobody hears this")
		})
		if params == "" {
			m.Kind = protocol.OneWay
		}
		ref, _, _ := pair(t, "timeout=60000&"+params, m)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := call(ctx, ref, m, args{})
		require.NoError(t, err)
		cancel()
		close(leave)
		require.NoError(t, receive(t, ran), "a caller that has returned does not cancel it")
	}
}

func TestGeneric(t *testing.T) {
	m := method("get", func(_ context.Context, a *args) (any, error) {
		return append(a.List, a.Text), nil
	})
	ref, _, _ := pair(t, "", m)
	list := []string{"a"}
	for what, c := range map[string]struct {
		args  protocol.GenericArgs
		want  any
		error string
	}{
		"by types":  {protocol.GenericArgs{Method: "get", Types: []string{"java.lang.String", "java.util.List", "java.util.Map"}, Args: []any{"t", list, nil}}, []string{"a", "t"}, ""},
		"by name":   {protocol.GenericArgs{Method: "get", Args: []any{"t", list, map[string][]int{}}}, []string{"a", "t"}, ""},
		"no method": {protocol.GenericArgs{Method: "nobody"}, nil, `service com.example.Demo has no method "nobody" with the parameter types []`},
		"too few":   {protocol.GenericArgs{Method: "get", Args: []any{"t"}}, nil, "it takes 3 arguments, the call has 1"},
		"type":      {protocol.GenericArgs{Method: "get", Args: []any{int32(1), list, nil}}, nil, "argument 0 is a int32, it takes a string"},
	} {
		t.Run(what, func(t *testing.T) {
			c2 := &protocol.Invocation{Method: protocol.NewGenericMethod(name), Args: &c.args, Reply: &protocol.AnyRow{}}
			err := ref.Invoke(t.Context(), c2)
			if c.error != "" {
				e := failure(t, err)
				require.Equal(t, protocol.NotSent, e.Outcome)
				require.ErrorContains(t, err, c.error)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, c2.Reply.(*protocol.AnyRow).Value)
		})
	}
	require.Equal(t, []string{"a"}, list)
}

// TestLife: a reference may be there before its service, and both end on their own.
func TestLife(t *testing.T) {
	m := method("get", func(context.Context, *args) (any, error) { return nil, nil })
	ref, e, p := pair(t, "group=g&version=1", m)
	require.True(t, p.Has("g/"+name+":1"))
	_, err := p.Export(&protocol.Service{}, e.URL())
	require.EqualError(t, err, "inproc: g/com.example.Demo:1 is exported already")
	require.NoError(t, e.Close(t.Context()))
	require.NoError(t, e.Close(t.Context()))
	require.False(t, ref.Available())
	_, err = call(t.Context(), ref, m, args{})
	f := failure(t, err)
	require.Equal(t, protocol.NoProvider, f.Code)
	require.Equal(t, protocol.NotSent, f.Outcome)
	_, err = p.Export(&protocol.Service{Interface: &protocol.Interface{Name: name, Methods: []*protocol.Method{m}}, Invoker: protocol.Implementation(nil)}, e.URL())
	require.NoError(t, err)
	require.True(t, ref.Available())
	_, err = call(t.Context(), ref, m, args{})
	require.NoError(t, err)
	stranger := method("other", nil)
	_, err = call(t.Context(), ref, stranger, args{})
	require.ErrorContains(t, err, "has no method other(")
	require.NoError(t, ref.Close())
	require.False(t, ref.Available())
	_, err = call(t.Context(), ref, m, args{})
	require.Equal(t, protocol.Closed, failure(t, err).Code)
	_, err = p.Refer(t.Context(), nil, url.MustParse("inproc://local/x?timeout=soon"))
	require.ErrorContains(t, err, "inproc: ")
}

// TestCloseWaits for running handlers, as long as it may.
func TestCloseWaits(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	m := method("get", func(context.Context, *args) (any, error) {
		entered <- struct{}{}
		<-leave
		return "done", nil
	})
	ref, e, p := pair(t, "timeout=60000", m)
	replies, closed := make(chan any, 1), make(chan error, 2)
	go func() { v, _ := call(context.Background(), ref, m, args{}); replies <- v }()
	receive(t, entered)
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.EqualError(t, e.Close(short), "inproc: calls of com.example.Demo still run: context deadline exceeded")
	go func() { closed <- e.Close(context.Background()) }()
	go func() { closed <- p.Close() }()
	require.Empty(t, closed)
	close(leave)
	require.NoError(t, receive(t, closed))
	require.NoError(t, receive(t, closed))
	require.Equal(t, "done", receive(t, replies))
}
