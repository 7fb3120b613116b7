package dubbo_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// Team is a class with another inside.
type Team struct {
	Lead    *User
	Members []*User
	Budget  float64
}

// JavaClassName is the class of Team in Java.
func (*Team) JavaClassName() string { return "com.example.Team" }

// people is a service for generic calls.
func people() *protocol.Interface {
	same := func(_ context.Context, args serialize.Row) (any, error) { return deref(args.At(0)), nil }
	return service("com.example.People",
		method("save", "Lcom/example/User;", same, &User{}),
		method("promote", "Lcom/example/Team;", func(_ context.Context, args serialize.Row) (any, error) {
			team := *args.At(0).(**Team)
			team.Members, team.Lead = append(team.Members, team.Lead), team.Members[0]
			return team, nil
		}, &Team{}),
		method("find", "J", func(_ context.Context, args serialize.Row) (any, error) {
			return map[string]*User{"found": {ID: *args.At(0).(*int64), Name: "Ann"}}, nil
		}, int64(0)),
		method("find", str, same, ""),
		method("count", "", func(context.Context, serialize.Row) (any, error) { return int32(7), nil }),
		void(method("forget", str, func(context.Context, serialize.Row) (any, error) { return nil, nil }, "")),
		method("add", "IJD", func(_ context.Context, args serialize.Row) (any, error) {
			return float64(*args.At(0).(*int32)) + float64(*args.At(1).(*int64)) + *args.At(2).(*float64), nil
		}, int32(0), int64(0), float64(0)),
		method("names", "[Ljava/lang/String;", same, []string{}),
		method("fail", "", func(context.Context, serialize.Row) (any, error) { return nil, errors.New("boom") }))
}

// TestGeneric: $invoke finds the method by names of types, makes typed arguments of maps, and maps of the reply.
func TestGeneric(t *testing.T) {
	ann := map[any]any{"class": "com.example.User", "id": int64(1), "name": "Ann", "age": int32(30)}
	bob := map[any]any{"class": "com.example.User", "id": int64(2), "name": "Bob", "age": int32(31)}
	const user, text = "com.example.User", "java.lang.String"
	for _, registered := range []bool{true, false} {
		h := open(t)
		if registered {
			h = open(t, &User{}, &Team{})
		}
		i := people()
		ref := h.pair(i, "timeout=10000")
		plainRef := open(t).refer(ref.URL().Address(), i, "timeout=10000")
		for name, c := range map[string]struct {
			method string
			types  []string
			args   []any
			want   any
		}{
			"object":            {"save", []string{user}, []any{ann}, ann},
			"object, no class":  {"save", []string{user}, []any{map[string]any{"id": 1, "name": "Ann", "age": 30, "other": true}}, ann},
			"null":              {"save", []string{user}, []any{nil}, nil},
			"nested":            {"promote", []string{"com.example.Team"}, []any{map[string]any{"lead": ann, "members": []any{bob}, "budget": 1.5}}, map[any]any{"class": "com.example.Team", "lead": bob, "members": []any{bob, ann}, "budget": 1.5}},
			"map of objects":    {"find", []string{"long"}, []any{int64(9)}, map[any]any{"found": map[any]any{"class": user, "id": int64(9), "name": "Ann", "age": int32(0)}}},
			"overload":          {"find", []string{text}, []any{"x"}, "x"},
			"no arguments":      {"count", []string{}, []any{}, int32(7)},
			"types are null":    {"count", nil, nil, int32(7)},
			"name is unique":    {"save", nil, []any{ann}, ann},
			"blanks":            {" save ", []string{" " + user + " "}, []any{ann}, ann},
			"numbers converted": {"add", []string{"int", "long", "double"}, []any{int64(1), int32(2), int32(3)}, 6.0},
			"array":             {"names", []string{"java.lang.String[]"}, []any{[]any{"a", "b"}}, []any{"a", "b"}},
			"array descriptor":  {"names", []string{"[Ljava.lang.String;"}, []any{[]any{"a"}}, []any{"a"}},
			"void":              {"forget", []string{text}, []any{"x"}, nil},
		} {
			t.Run(name, func(t *testing.T) {
				for _, form := range []string{"", "true"} {
					got, err := generic(plainRef, i.Name, form, c.method, c.types, c.args...)
					require.NoError(t, err)
					require.Equal(t, c.want, got)
				}
			})
		}
		got, err := generic(ref, i.Name, "raw.return", "save", nil, ann)
		require.NoError(t, err)
		if registered {
			require.Equal(t, &User{1, "Ann", 30}, got)
		} else {
			require.Equal(t, "com.example.User", got.(*serialize.Object).Class)
		}
	}
}

// TestGenericRefusals: what is wrong with a generic call is said before anything runs.
func TestGenericRefusals(t *testing.T) {
	h := open(t, &User{})
	i := people()
	ref := h.pair(i, "")
	const at = "the provider answered with status 40: "
	for name, c := range map[string]struct {
		form, method string
		types        []string
		args         []any
		reason       string
	}{
		"form bean":       {"bean", "count", nil, nil, `service com.example.People takes no generic calls in the form "bean", only true`},
		"form nativejava": {"nativejava", "count", nil, nil, `in the form "nativejava"`},
		"method":          {"true", "nobody", nil, nil, `generic call: service com.example.People has no method "nobody" with the parameter types []`},
		"types":           {"true", "save", []string{"int"}, []any{1}, `no method "save" with the parameter types ["int"]`},
		"ambiguous":       {"true", "find", nil, []any{"x"}, `no method "find" with the parameter types []`},
		"too few":         {"true", "save", nil, nil, `com.example.People.save takes 1 arguments, the call has 0`},
		"too many":        {"true", "count", nil, []any{1}, `com.example.People.count takes 0 arguments, the call has 1`},
		"argument":        {"true", "add", nil, []any{"x", "y", "z"}, "the arguments of com.example.People.add do not fit: hessian2"},
		"echo":            {"true", "$echo", nil, []any{1}, `no method "$echo"`},
		"recursion":       {"true", "$invoke", nil, []any{"save", nil, nil}, `no method "$invoke"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := generic(ref, i.Name, c.form, c.method, c.types, c.args...)
			e := failure(t, err)
			require.Equal(t, protocol.NotStarted, e.Outcome)
			require.Contains(t, e.Message, at)
			require.Contains(t, e.Message, c.reason)
		})
	}
	_, err := generic(ref, i.Name, "", "fail", nil)
	e := failure(t, err)
	require.Equal(t, "boom", e.Message)
	require.Equal(t, protocol.Executed, e.Outcome)

	off := h.pair(i, "generic.invoke=false&version=2")
	_, err = generic(off, i.Name, "", "count", nil)
	require.ErrorContains(t, err, at+"service com.example.People:2 takes no generic calls (parameter generic.invoke)")
	_, err = call(t.Context(), off, named(i, "count"))
	require.NoError(t, err)
}

// TestInvokeAsync is the same on the wire as $invoke.
func TestInvokeAsync(t *testing.T) {
	h := open(t)
	i := people()
	peer := dial(t, h.export(i, "").URL().Address())
	q := request{path: i.Name, method: protocol.GenericInvokeAsync, descriptor: protocol.GenericDescriptor, args: []any{"find", []string{str}, []any{"x"}}}
	q.args[1] = []string{"java.lang.String"}
	status, body := peer.ask(q.body(t))
	require.Equal(t, exchange.OK, status, "%q", body)
	require.Equal(t, "x", readAnswer(t, body).value)
	q.method = "$invokeSomehow"
	status, _ = peer.ask(q.body(t))
	require.Equal(t, exchange.BadRequest, status)
	q.method, q.args = protocol.GenericInvoke, []any{int32(1), "x", true}
	status, body = peer.ask(q.body(t))
	require.Equal(t, exchange.BadRequest, status)
	require.Contains(t, text(t, body), "the arguments of com.example.People.$invoke cannot be decoded")
}

// TestEcho: every service echoes, before any filter is asked.
func TestEcho(t *testing.T) {
	h := open(t, &User{})
	i := people()
	refuses := protocol.InvokerFunc(func(context.Context, *protocol.Invocation) error { return errors.New("no") })
	ref := h.refer(h.exportInvoker("127.0.0.1:0", i, "", refuses).URL().Address(), i, "")
	for _, v := range []any{"OK", int32(1), nil, []any{"a", true}, map[any]any{"k": 1.5}, &User{1, "Ann", 30}} {
		m := protocol.NewEchoMethod(i.Name)
		c := m.New()
		c.Args.(*protocol.AnyRow).Value = v
		require.NoError(t, ref.Invoke(t.Context(), c))
		require.Equal(t, v, c.Reply.(*protocol.AnyRow).Value)
	}
}

// TestEchoOfOtherTypes: dubbo-go names the class that it sends.
func TestEchoOfOtherTypes(t *testing.T) {
	h := open(t)
	i := people()
	peer := dial(t, h.export(i, "").URL().Address())
	for descriptor, want := range map[string]byte{"Ljava/lang/String;": exchange.OK, "I": exchange.OK, "[I": exchange.OK, "[Ljava/lang/String;": exchange.OK,
		"": exchange.BadRequest, "[": exchange.BadRequest, "II": exchange.BadRequest, "Lx": exchange.BadRequest, "LA;LB;": exchange.BadRequest} {
		status, body := peer.ask(request{path: i.Name, method: protocol.Echo, descriptor: descriptor, args: []any{"x"}}.body(t))
		require.Equal(t, want, status, descriptor)
		if want == exchange.OK {
			require.Equal(t, "x", readAnswer(t, body).value, descriptor)
		}
	}
}

// TestGenericIsWrittenAsJavaDoes: the arguments of $invoke are arrays, byte for byte; dubbo-go takes nothing else.
func TestGenericIsWrittenAsJavaDoes(t *testing.T) {
	java := unhex(t, vectors(t)["jreq_generic"].Hex)
	w := plain.Writer(nil)
	require.NoError(t, w.Write(&protocol.GenericArgs{Method: "sayHello", Types: []string{"java.lang.String"}, Args: []any{"world"}}))
	require.Contains(t, string(java), protocol.GenericDescriptor+string(w.Bytes()))
	w.Free()
}
