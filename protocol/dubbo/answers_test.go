package dubbo_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
)

// TestAnswersOfOthers: each golden answer gives the reply or the error that it means.
func TestAnswersOfOthers(t *testing.T) {
	const runtime = "java.lang.RuntimeException"
	type want struct {
		reply   any
		pairs   protocol.Attachments
		code    protocol.Code
		outcome protocol.Outcome
		class   string
		message string // of an error
	}
	refused := func(status int, code protocol.Code, outcome protocol.Outcome, text string) want {
		return want{code: code, outcome: outcome, message: fmt.Sprintf("the provider answered with status %d: %s", status, text)}
	}
	cases := map[string]want{
		"resp_value":             {reply: "Hello world"},
		"resp_null":              {},
		"resp_exception":         {code: protocol.Application, outcome: protocol.Executed, class: runtime, message: "boom"},
		"resp_value_att":         {reply: "Hello world"},
		"resp_null_att":          {},
		"resp_exception_att":     {code: protocol.Application, outcome: protocol.Executed, class: runtime, message: "boom"},
		"resp_pojo_att":          {reply: &User{1, "Ann", 30}, pairs: protocol.Attachments{"dubbo", "2.0.2", "trace", "t1"}},
		"resp_value_att_dubbogo": {reply: "Hello world", pairs: protocol.Attachments{"dubbo", "2.0.2"}},
		"jresp_value_att":        {reply: "Hello world"},
		"jresp_null_att":         {},
		"jresp_pojo_list_att":    {reply: []any{&User{1, "Ann", 30}, &User{2, "Bob", 31}}},

		"resp_status_25_serialization_error":   refused(25, protocol.Serialization, protocol.Executed, "Data length too large: 9000000, max payload: 8388608"),
		"resp_status_30_client_timeout":        refused(30, protocol.Timeout, protocol.OutcomeUnknown, "client timeout"),
		"resp_status_31_server_timeout":        refused(31, protocol.Timeout, protocol.OutcomeUnknown, "server timeout"),
		"resp_status_35_channel_inactive":      refused(35, protocol.Network, protocol.OutcomeUnknown, "Channel is inactive"),
		"resp_status_40_bad_request":           refused(40, protocol.Network, protocol.NotStarted, "Fail to decode request due to: x"),
		"resp_status_50_bad_response":          refused(50, protocol.Serialization, protocol.Executed, "Failed to send response"),
		"resp_status_60_service_not_found":     refused(60, protocol.Network, protocol.OutcomeUnknown, "Service not found"),
		"resp_status_70_service_error":         refused(70, protocol.Network, protocol.OutcomeUnknown, "Not found exported service: com.example.DemoService:1.0.0"),
		"resp_status_80_server_error":          refused(80, protocol.Network, protocol.OutcomeUnknown, "server error"),
		"resp_status_90_client_error":          refused(90, protocol.Network, protocol.OutcomeUnknown, "client error"),
		"resp_status_100_threadpool_exhausted": refused(100, protocol.LimitExceeded, protocol.NotStarted, "Server side threadpool is exhausted, detail msg: x"),
	}
	all := vectors(t)
	h := open(t, &User{})
	m := method("sayHello", "", nil)
	i := service(demo, m)
	for name, v := range all {
		if !strings.Contains(name, "resp_") || strings.HasPrefix(name, "heartbeat") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w, ok := cases[name]
			require.True(t, ok, "every answer has a case")
			golden := unhex(t, v.Hex)
			head, _ := exchange.ParseHeader(golden)
			server := play(t, always(head.Status, golden[exchange.HeaderLen:]))
			ref := h.refer(server.address(), i, "timeout=10000")
			defer ref.Close()
			c := invocation(m)
			err := ref.Invoke(context.Background(), c)
			if w.message == "" {
				require.NoError(t, err)
				require.Equal(t, w.reply, c.Reply.(*protocol.AnyRow).Value)
				require.Equal(t, w.pairs, c.ReplyAttachments)
				return
			}
			e := failure(t, err)
			require.Equal(t, w.code, e.Code)
			require.Equal(t, w.outcome, e.Outcome)
			require.Equal(t, w.class, e.Class)
			require.Equal(t, w.message, e.Message)
			require.Equal(t, demo, e.Service)
			require.Equal(t, "sayHello", e.Method)
			require.Equal(t, server.address(), e.Address)
			require.Positive(t, e.Elapsed)
			require.NoError(t, e.Cause)
		})
	}
}

// TestStrangeAnswers: an answer that cannot be read is an error of the call, and the connection goes on.
func TestStrangeAnswers(t *testing.T) {
	long := strings.Repeat("long ", 1000)
	for name, c := range map[string]struct {
		status  byte
		body    string
		code    protocol.Code
		outcome protocol.Outcome
		message string
	}{
		"no body":             {20, "", protocol.Serialization, protocol.Executed, "input ends inside a value"},
		"flag only":           {20, "\x91", protocol.Serialization, protocol.Executed, "input ends inside a value"},
		"flag 6":              {20, "\x96\x01a", protocol.Serialization, protocol.Executed, "answer flag 6"},
		"flag -1":             {20, "\x8f\x01a", protocol.Serialization, protocol.Executed, "answer flag -1"},
		"flag is text":        {20, "\x01a", protocol.Serialization, protocol.Executed, "malformed input"},
		"flag is huge":        {20, "L\x7f\xff\xff\xff\xff\xff\xff\xff", protocol.Serialization, protocol.Executed, ""},
		"value cut":           {20, "\x94\x05ab", protocol.Serialization, protocol.Executed, "input ends inside a value"},
		"attachments cut":     {20, "\x94\x01aH\x01k", protocol.Serialization, protocol.Executed, "input ends inside a value"},
		"attachments missing": {20, "\x95", protocol.Serialization, protocol.Executed, "input ends inside a value"},
		"exception is null":   {20, "\x90N", protocol.Application, protocol.Executed, ""},
		"exception is text":   {20, "\x90\x04oops", protocol.Application, protocol.Executed, "oops"},
		"status 0":            {0, "", protocol.Network, protocol.OutcomeUnknown, "status 0"},
		"status 255":          {255, "\x01x", protocol.Network, protocol.OutcomeUnknown, "status 255: x"},
		"reason missing":      {40, "", protocol.Network, protocol.NotStarted, "status 40"},
		"reason is no text":   {40, "\x91", protocol.Network, protocol.NotStarted, "status 40"},
		"reason is a trace":   {70, string(words("first\tline\r\n\tat com.example.X(X.java:1)")), protocol.Network, protocol.OutcomeUnknown, "status 70: first line"},
		"reason is long":      {70, string(words(long)), protocol.Network, protocol.OutcomeUnknown, "lo…"},
	} {
		t.Run(name, func(t *testing.T) {
			answers := []func(exchange.Header) []byte{
				func(h exchange.Header) []byte { return reply(h, c.status, []byte(c.body)) },
				func(h exchange.Header) []byte { return reply(h, exchange.OK, []byte("\x91\x02ok")) },
			}
			n := 0
			server := play(t, func(h exchange.Header, _ []byte) []byte { n++; return answers[n-1](h) })
			m := method("sayHello", "", nil)
			ref := open(t).refer(server.address(), service(demo, m), "timeout=10000")
			_, err := call(context.Background(), ref, m)
			e := failure(t, err)
			require.Equal(t, c.code, e.Code)
			require.Equal(t, c.outcome, e.Outcome)
			require.Contains(t, err.Error(), c.message)
			require.Less(t, len(err.Error()), 1000)
			got, err := call(context.Background(), ref, m)
			require.NoError(t, err)
			require.Equal(t, "ok", got)
			require.NoError(t, ref.Close())
			require.Equal(t, 1, server.drop(), "the connection was not lost")
		})
	}
}

// TestAnswerInAnotherSerialization: the value is lost, but a refusal can be read.
func TestAnswerInAnotherSerialization(t *testing.T) {
	status := exchange.OK
	server := play(t, func(h exchange.Header, _ []byte) []byte {
		require.EqualValues(t, 27, h.Serialization())
		return frame(2, status, h.ID, words("a text in hessian2"))
	})
	m := method("sayHello", "", nil)
	ref := open(t).refer(server.address(), service(demo, m), "serialization=msgpack&timeout=10000")
	_, err := call(context.Background(), ref, m)
	e := failure(t, err)
	require.Equal(t, protocol.Executed, e.Outcome)
	require.Equal(t, protocol.Serialization, e.Code)
	require.Equal(t, "the reply is in serialization 2, the call was in 27", e.Message)
	status = exchange.BadRequest
	_, err = call(context.Background(), ref, m)
	require.Equal(t, "the provider answered with status 40: a text in hessian2", failure(t, err).Message)
}

// TestReadonly: READONLY takes the provider out of the choice and keeps serving; WRITEABLE undoes it.
func TestReadonly(t *testing.T) {
	all := vectors(t)
	event := "readonly_event"
	server := play(t, func(h exchange.Header, _ []byte) []byte {
		return append(unhex(t, all[event].Hex), reply(h, exchange.OK, []byte("\x92"))...)
	})
	m := method("sayHello", "", nil)
	ref := open(t).refer(server.address(), service(demo, m), "timeout=10000")
	require.True(t, ref.Available())
	_, err := call(context.Background(), ref, m)
	require.NoError(t, err)
	require.False(t, ref.Available())
	_, err = call(context.Background(), ref, m)
	require.NoError(t, err, "a call to it is still a call")
	event = "writeable_event"
	_, err = call(context.Background(), ref, m)
	require.NoError(t, err)
	require.True(t, ref.Available())
}

// TestNoCallbacks: a provider that calls its consumer gets an answer that it can read.
func TestNoCallbacks(t *testing.T) {
	answers := make(chan []byte, 1)
	server := play(t, func(h exchange.Header, body []byte) []byte {
		if !h.Request() {
			require.Equal(t, exchange.ServiceError, h.Status)
			require.EqualValues(t, 99, h.ID)
			answers <- body
			return nil
		}
		return append(frame(twoWay, 0, 99, []byte("N")), reply(h, exchange.OK, []byte("\x92"))...)
	})
	m := method("sayHello", "", nil)
	ref := open(t).refer(server.address(), service(demo, m), "timeout=10000")
	_, err := call(context.Background(), ref, m)
	require.NoError(t, err)
	require.Equal(t, "this consumer serves no callbacks", text(t, receive(t, answers)))
}

// TestTimeouts: what a call meets that gets no answer.
func TestTimeouts(t *testing.T) {
	server := play(t, func(exchange.Header, []byte) []byte { return nil })
	m := method("sayHello", "", nil)
	ref := open(t).refer(server.address(), service(demo, m), "timeout=20")
	cause := fmt.Errorf("a reason")
	const soon = 50 * time.Millisecond
	never := func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) }
	deadline := func(d time.Duration) func() (context.Context, context.CancelFunc) {
		return func() (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(context.Background(), d, cause)
		}
	}
	canceled := func(d time.Duration) func() (context.Context, context.CancelFunc) {
		return func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(context.Background())
			if d == 0 {
				cancel(cause)
			} else {
				time.AfterFunc(d, func() { cancel(cause) })
			}
			return ctx, func() { cancel(nil) }
		}
	}
	for name, c := range map[string]struct {
		ctx     func() (context.Context, context.CancelFunc)
		timeout time.Duration
		code    protocol.Code
		outcome protocol.Outcome
		is      error
		text    string
	}{
		"timeout of the reference": {never, 0, protocol.Timeout, protocol.OutcomeUnknown, nil, "no reply within 20ms"},
		"timeout of the call":      {never, 30 * time.Millisecond, protocol.Timeout, protocol.OutcomeUnknown, nil, "no reply within 30ms"},
		"deadline":                 {deadline(soon), time.Minute, protocol.Timeout, protocol.OutcomeUnknown, nil, ""},
		"deadline passed":          {deadline(-soon), time.Minute, protocol.DeadlineExceeded, protocol.NotSent, cause, "the caller's deadline passed before the call was sent"},
		"canceled":                 {canceled(soon), time.Minute, protocol.Canceled, protocol.OutcomeUnknown, cause, "a reason"},
		"canceled before":          {canceled(0), time.Minute, protocol.Canceled, protocol.NotSent, cause, "a reason"},
	} {
		t.Run(name, func(t *testing.T) {
			inv := invocation(m)
			inv.Timeout = c.timeout
			ctx, cancel := c.ctx()
			defer cancel()
			err := ref.Invoke(ctx, inv)
			e := failure(t, err)
			require.Equal(t, c.code, e.Code, err)
			require.Equal(t, c.outcome, e.Outcome, err)
			require.ErrorContains(t, err, c.text)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
		})
	}
}
