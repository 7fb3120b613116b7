package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// typedRow is a reply of any type.
type typedRow struct{ p any }

func (r typedRow) Len() int   { return 1 }
func (r typedRow) At(int) any { return r.p }

type item struct {
	Name  string
	Count int32
}

type soldOut struct{}

func (*soldOut) Error() string { return "sold out" }

func mockConfigFor(t testing.TB) MockConfig {
	return MockConfig{
		Find: func(name string) (protocol.Invoker, bool) {
			if name != "GreeterMock" && name != "special" {
				return nil, false
			}
			return protocol.InvokerFunc(func(_ context.Context, c *protocol.Invocation) error {
				if p, ok := c.Reply.At(0).(*string); ok {
					*p = name + " says hello"
				}
				return nil
			}), true
		},
		Convert: func(value, into any) error { // as a format would
			b, err := json.Marshal(value)
			require.NoError(t, err)
			return json.Unmarshal(b, into)
		},
		Throw: func(class string) (error, bool) { return &soldOut{}, class == "com.example.SoldOut" },
	}
}

// answerOf makes a call with a mock over a cluster that ends with failure.
func answerOf(t testing.TB, mock string, reply any, failure error) (any, error) {
	called := false
	next := protocol.InvokerFunc(func(context.Context, *protocol.Invocation) error { called = true; return failure })
	m, err := NewMock(next, mockConfigFor(t), consumer("").With("mock", mock))
	require.NoError(t, err, mock)
	c := &protocol.Invocation{Method: method("sayHello", 0), Reply: typedRow{reply}}
	err = m.Invoke(t.Context(), c)
	require.Equal(t, len(mock) < 5 || mock[:5] != "force", called, mock)
	return reflect.ValueOf(reply).Elem().Interface(), err
}

var networkFailure = &protocol.Error{Code: protocol.Network, Outcome: protocol.OutcomeUnknown, Message: "gone"}

func TestMockReturns(t *testing.T) {
	five := int32(5)
	for _, c := range []struct {
		mock  string
		reply any
		want  any
	}{
		{"return hello world", new(string), "hello world"},
		{"return `quoted`", new(string), "quoted"},
		{`return "quoted"`, new(string), "quoted"},
		{"return 'null'", new(string), "null"},
		{`return {"a":1}`, new(string), `{"a":1}`},
		{"return", new(string), ""},
		{"return null", new(string), ""},
		{"return null", new(*item), (*item)(nil)},
		{"return empty", new(*item), &item{}},
		{"return empty", new([]string), []string{}},
		{"return empty", new(map[string]int), map[string]int{}},
		{"return empty", new(int), 0},
		{"return true", new(bool), true},
		{"return false", new(bool), false},
		{"return true", new(string), "true"},
		{"return 5", new(int32), int32(5)},
		{"return 5", new(*int32), &five},
		{"return '5'", new(int64), int64(5)},
		{"return 2.5", new(float64), 2.5},
		{"return 7", new(uint8), uint8(7)},
		{`return {"Name":"pear","Count":3}`, new(item), item{"pear", 3}},
		{"return {`Name`:`pear`}", new(*item), &item{Name: "pear"}},
		{`return [{"Name":"a"},{"Name":"b"}]`, new([]item), []item{{Name: "a"}, {Name: "b"}}},
		{`return [1,2]`, new([]int), []int{1, 2}},
		{"return 5", new(any), int64(5)},
		{"return true", new(any), true},
		{"return x", new(any), "x"},
		{"true", new(string), "GreeterMock says hello"},
		{"Default", new(string), "GreeterMock says hello"},
		{"fail", new(string), "GreeterMock says hello"},
		{"special", new(string), "special says hello"},
	} {
		for _, prefix := range []string{"", "fail:", "fail: ", "force:", "force: "} {
			got, err := answerOf(t, prefix+c.mock, c.reply, networkFailure)
			require.NoError(t, err, prefix+c.mock)
			require.Equal(t, c.want, got, prefix+c.mock)
		}
	}
	got, err := answerOf(t, "force", new(string), nil)
	require.NoError(t, err)
	require.Equal(t, "GreeterMock says hello", got)
}

// TestMockRule: exactly failures of the framework make it answer.
func TestMockRule(t *testing.T) {
	business := errors.New("no such user")
	for i, c := range []struct {
		failure error
		mocked  bool
	}{
		{&protocol.Error{Code: protocol.Network}, true},
		{&protocol.Error{Code: protocol.Timeout}, true},
		{&protocol.Error{Code: protocol.NoProvider}, true},
		{&protocol.Error{Code: protocol.Forbidden}, true},
		{&protocol.Error{Code: protocol.LimitExceeded}, true},
		{&protocol.Error{Code: protocol.Serialization, Outcome: protocol.Executed}, true},
		{&protocol.Error{Code: protocol.DeadlineExceeded}, true},
		{fmt.Errorf("wrapped: %w", networkFailure), true},
		{&protocol.Error{Code: protocol.Application, Outcome: protocol.Executed, Class: "org.apache.dubbo.rpc.RpcException"}, true},
		{&protocol.Error{Code: protocol.Application, Outcome: protocol.Executed, Class: "java.lang.RuntimeException"}, false},
		{&protocol.Error{Code: protocol.Canceled}, false},
		{business, false},
		{nil, false},
	} {
		got, err := answerOf(t, "return mocked", new(string), c.failure)
		require.Equal(t, c.mocked, got == "mocked", "case %d", i)
		if !c.mocked {
			require.Equal(t, c.failure, err)
		}
	}
}

func TestMockThrows(t *testing.T) {
	_, err := answerOf(t, "throw", new(string), networkFailure)
	e := asError(t, err)
	require.Equal(t, protocol.Unknown, e.Code)
	require.Equal(t, protocol.OutcomeUnknown, e.Outcome, "the call may have run")
	require.ErrorIs(t, err, networkFailure)
	_, err = answerOf(t, "force:throw", new(string), nil)
	require.Equal(t, protocol.NotSent, protocol.OutcomeOf(err))
	_, err = answerOf(t, "throw com.example.SoldOut", new(string), networkFailure)
	e = asError(t, err)
	require.Equal(t, protocol.Application, e.Code)
	require.Equal(t, "com.example.SoldOut", e.Class)
	var typed *soldOut
	require.ErrorAs(t, err, &typed)
	_, err = answerOf(t, "force:throw java.lang.IllegalStateException", new(string), nil)
	require.Equal(t, "java.lang.IllegalStateException", asError(t, err).Class)
	for _, c := range []struct {
		mock  string
		reply any
	}{{"return x", new(int)}, {"return 300", new(int8)}, {"return x", new(item)}, {`return ["x"]`, new([]int)}} {
		_, err = answerOf(t, c.mock, c.reply, networkFailure)
		require.ErrorContains(t, err, "mock="+c.mock)
		require.Equal(t, protocol.Serialization, protocol.CodeOf(err))
	}
}

func TestMockOfAMethodAndItsChange(t *testing.T) {
	next := protocol.InvokerFunc(func(context.Context, *protocol.Invocation) error { return networkFailure })
	m, err := NewMock(next, mockConfigFor(t), consumer("mock=return base&sayBye.mock=return bye&sayNo.mock=false"))
	require.NoError(t, err)
	say := func(name string) (string, error) {
		c := call(method(name, 0), "")
		err := m.Invoke(t.Context(), c)
		return *c.Reply.At(0).(*string), err
	}
	for name, want := range map[string]string{"sayHello": "base", "sayBye": "bye"} {
		got, err := say(name)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err = say("sayNo")
	require.ErrorIs(t, err, networkFailure)
	generic := &protocol.Invocation{Method: protocol.NewGenericMethod("com.example.Greeter"), Args: &protocol.GenericArgs{Method: "sayBye"}, Reply: &protocol.AnyRow{}}
	require.NoError(t, m.Invoke(t.Context(), generic))
	require.Equal(t, any("bye"), *generic.Reply.At(0).(*any))

	require.Error(t, m.Set(consumer("mock=return {")), "a bad one changes nothing")
	got, err := say("sayHello")
	require.NoError(t, err)
	require.Equal(t, "base", got)
	require.NoError(t, m.Set(consumer("mock=false")))
	_, err = say("sayHello")
	require.ErrorIs(t, err, networkFailure)
}

func TestBadMocks(t *testing.T) {
	for mock, want := range map[string]string{
		"return {bad":        "bad JSON",
		`return {"a":1} x`:   "bad JSON",
		"return [1,":         "bad JSON",
		"throw a b":          "no class",
		"nobody":             "no mock is registered as nobody",
		"force:nobody":       "no mock is registered as nobody",
		"returned by nobody": "no mock is registered",
	} {
		_, err := NewMock(nil, mockConfigFor(t), consumer("").With("sayHello.mock", mock))
		require.ErrorContains(t, err, want, mock)
		require.ErrorContains(t, err, "sayHello.mock", mock)
	}
	_, err := NewMock(nil, mockConfigFor(t), url.MustParse("consumer://h/com.example.Other?mock=true"))
	require.ErrorContains(t, err, "com.example.OtherMock or OtherMock")
	for _, off := range []string{"", "false", "0", "null", "N/A", " FALSE "} {
		m, err := NewMock(nil, MockConfig{}, consumer("").With("mock", off))
		require.NoError(t, err)
		require.Nil(t, m.rules.Load(), off)
	}
}

func FuzzMock(f *testing.F) {
	for _, s := range []string{"return null", "force:return {\"a\":[1,2.5]}", "throw a.b.C", "fail:return `x`", "true", "return 'x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := NewMock(protocol.InvokerFunc(func(context.Context, *protocol.Invocation) error { return networkFailure }), mockConfigFor(t),
			consumer("").With("mock", text))
		if err != nil {
			return
		}
		for _, p := range []any{new(string), new(int8), new(*item), new([]any), new(any), new(map[string]item)} {
			_ = m.Invoke(t.Context(), &protocol.Invocation{Method: method("sayHello", 0), Reply: typedRow{p}})
		}
	})
}

func TestMockAllocatesNothingWithoutOne(t *testing.T) {
	if raceEnabled {
		return
	}
	next := protocol.InvokerFunc(func(context.Context, *protocol.Invocation) error { return nil })
	for _, params := range []string{"", "mock=return x&sayBye.mock=return y"} {
		m, err := NewMock(next, MockConfig{}, consumer(params))
		require.NoError(t, err)
		c := call(method("sayHello", 0), "")
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = m.Invoke(t.Context(), c) }))
	}
}
