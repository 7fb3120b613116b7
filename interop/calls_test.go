package interop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/interop/fleet"
	"github.com/ferryrpc/ferry/protocol"
)

const mib = 1 << 20

// TestCalls makes every kind of call in both directions, through ZooKeeper.
func TestCalls(t *testing.T) {
	t.Parallel()
	for _, line := range lines {
		if !wanted(line) {
			continue
		}
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			peer := java(t, line)
			registry := "zookeeper://" + zktest.Start(t, zktest.Options{}).Addr()
			port := freePort(t)
			provider := peer.start(t, "Provider", "port="+port, "registry="+registry, "application=java-provider")
			calls(t, peer, registry, "127.0.0.1:"+port)
			provider.stop()

			s := serve(t, registry, "ferry")
			consumer := peer.start(t, "Consumer", "registry="+registry, "application=java-consumer", "direct="+s.URLs()[0].Address())
			cells(t, peer, toFerry, consumer.tell("calls"))
			consumer.stop()
			closeServer(t, s)
		})
	}
}

// calls are the cells of a Ferry consumer.
func calls(t *testing.T, peer javaPeer, registry, address string) {
	c := client(t, registry)
	defer func() { require.NoError(t, c.Close()) }()
	x := &callCells{c: c, tri: peer.tri, address: peer.scheme() + "://" + address}
	var err error
	x.ref, err = c.Refer(fleet.CallsService, ferry.Method("sleep", ferry.Timeout(time.Second))...)
	require.NoError(t, err)
	require.NoError(t, fleet.RegisterCallsTypes(c.Types()))
	x.calls = fleet.NewCalls(x.ref)
	x.generic, err = c.Generic(fleet.CallsService.Name)
	require.NoError(t, err)
	type named = struct {
		name string
		run  func(context.Context) error
	}
	all := []named{
		{"overloads", x.overloads}, {"no arguments", x.calls.Nothing}, {"one way", x.oneWay}, {"attachments both ways", x.attachments},
		{"group and version", x.groups}, {"group *", x.anyGroup}, {"group * and version *", x.anything}, {"$echo", x.echo}, {"objects in lists", x.family},
		{"7 MiB both ways", x.big}, {"request past the limit", x.tooBig}, {"reply past the limit", x.tooBigBack},
		{"exception checked", x.checked}, {"exception runtime", x.failure("runtime", "java.lang.IllegalStateException", "runtime message")},
		{"exception custom", x.custom}, {"exception undeclared", x.failure("undeclared", "com.ferry.interop.UndeclaredException", "undeclared message")},
		{"exception with cause", x.failure("cause", "java.lang.IllegalArgumentException", "outer")},
		{"exception without message", x.failure("empty", "java.lang.IllegalStateException", "")},
		{"timeout of the consumer", x.timeout}, {"timeout of the provider's URL", x.published}, {"unknown method", x.unknown},
		{"unknown service", x.nowhere}, {"generic", x.genericCalls}, {"generic with maps for objects", x.genericMaps},
		{"generic exception", x.genericFailure}, {"async by CompletableFuture", x.later},
	}
	if peer.tri {
		all = append(all, named{"attachments beyond ASCII", x.beyondASCII})
	}
	for _, one := range all {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		judge(t, "calls/"+one.name, peer, fromFerry, one.run(ctx))
		cancel()
	}
}

type callCells struct {
	c       *ferry.Client
	tri     bool
	address string // of the provider
	ref     *ferry.Reference
	calls   fleet.Calls
	generic *ferry.Generic
}

// want compares what came with what should.
func want(what, got any, err error) error {
	if err == nil && !fleet.Same(what, got) {
		err = fmt.Errorf("got %s, not %s", fleet.Show(got), fleet.Show(what))
	}
	return err
}

// fails holds an error to its code and a part of its text.
func fails(err error, code protocol.Code, text string) error {
	if err == nil {
		return errors.New("nothing failed")
	}
	if protocol.CodeOf(err) != code || !strings.Contains(err.Error(), text) {
		return fmt.Errorf("not %v with %q: %w", code, text, err)
	}
	return nil
}

func (x *callCells) overloads(ctx context.Context) error {
	var errs []error
	hold := func(what string) func(string, error) {
		return func(got string, err error) { errs = append(errs, want(what, got, err)) }
	}
	n := int32(2)
	hold("none")(x.calls.Overload(ctx))
	hold("String a")(x.calls.OverloadString(ctx, "a"))
	hold("int 1")(x.calls.OverloadInt(ctx, 1))
	hold("Integer 2")(x.calls.OverloadInteger(ctx, &n))
	hold("long 3")(x.calls.OverloadLong(ctx, 3))
	hold("List a,b")(x.calls.OverloadList(ctx, []string{"a", "b"}))
	hold("String,int a 4")(x.calls.OverloadTwo(ctx, "a", 4))
	return errors.Join(errs...)
}

func (x *callCells) oneWay(ctx context.Context) error {
	token := time.Now().String()
	if err := x.calls.OneWay(ctx, token); err != nil {
		return err
	}
	for {
		if seen, err := x.calls.OneWaySeen(ctx, token); seen || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("the call did not arrive")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (x *callCells) attachments(ctx context.Context) error {
	if x.tri { // carries them as headers
		return x.attachment(ctx, "blau ~")
	}
	return x.attachment(ctx, "blau 中")
}

func (x *callCells) beyondASCII(ctx context.Context) error { return x.attachment(ctx, "blau 中") }

func (x *callCells) attachment(ctx context.Context, value string) error {
	call := method("attachment").New()
	*call.Args.At(0).(*string) = "colour"
	if err := x.ref.Invoke(protocol.WithAttachment(ctx, "colour", value), call); err != nil {
		return err
	}
	return errors.Join(want(value, *call.Reply.At(0).(*string), nil), want("got "+value, call.ReplyAttachments.Value("reply-colour"), nil))
}

func method(name string) *protocol.Method {
	for _, m := range fleet.CallsService.Methods {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// where asks a provider of a group and version for both.
func (x *callCells) where(ctx context.Context, group, version string) (string, error) {
	calls, err := fleet.ReferCalls(x.c, ferry.Param("group", group), ferry.Param("version", version))
	if err != nil {
		return "", err
	}
	return calls.Where(ctx)
}

func (x *callCells) groups(ctx context.Context) error {
	none, err := x.calls.Where(ctx)
	one, err1 := x.where(ctx, "g1", "1.0.0")
	two, err2 := x.where(ctx, "g2", "2.0.0")
	return errors.Join(want("none", none, err), want("g1/1.0.0", one, err1), want("g2/2.0.0", two, err2))
}

func (x *callCells) anyGroup(ctx context.Context) error {
	one, err := x.where(ctx, "*", "1.0.0")
	two, err2 := x.where(ctx, "*", "2.0.0")
	return errors.Join(want("g1/1.0.0", one, err), want("g2/2.0.0", two, err2))
}

func (x *callCells) anything(ctx context.Context) error {
	calls, err := fleet.ReferCalls(x.c, ferry.Param("group", "*"), ferry.Param("version", "*"))
	for range 12 {
		if err != nil {
			return err
		}
		var where string
		if where, err = calls.Where(ctx); !slices.Contains([]string{"none", "g1/1.0.0", "g2/2.0.0"}, where) {
			err = errors.Join(err, fmt.Errorf("got %q", where))
		}
	}
	return err
}

func (x *callCells) echo(ctx context.Context) error {
	for _, v := range []any{"ok", []any{"a", int32(1)}} {
		arg, reply := protocol.AnyRow{Value: v}, protocol.AnyRow{}
		err := x.ref.Invoke(ctx, &protocol.Invocation{Method: protocol.NewEchoMethod(fleet.CallsService.Name), Args: &arg, Reply: &reply})
		if err = want(v, reply.Value, err); err != nil {
			return err
		}
	}
	return nil
}

func (x *callCells) family(ctx context.Context) error {
	list, err := x.calls.Family(ctx, []*fleet.Person{{Name: "Mia"}, {Name: "Tom"}}, "BLUE")
	return want([]*fleet.Person{{Name: "Mia", Favourite: "BLUE"}, {Name: "Tom", Favourite: "BLUE"}}, list, err)
}

func (x *callCells) big(ctx context.Context) error {
	data := make([]byte, 7*mib)
	for i := range data {
		data[i] = byte(i * 31)
	}
	got, err := x.calls.Big(ctx, data)
	return want(data, got, err)
}

func (x *callCells) tooBig(ctx context.Context) error {
	_, err := x.calls.Big(ctx, make([]byte, 9*mib))
	if e := fails(err, protocol.Serialization, "too large"); e != nil || protocol.OutcomeOf(err) != protocol.NotSent {
		return fmt.Errorf("wrong failure: %w", err)
	}
	return x.calls.Nothing(ctx)
}

func (x *callCells) tooBigBack(ctx context.Context) error {
	_, err := x.calls.Make(ctx, 9*mib)
	if x.tri { // 3.3 refuses to send it, 3.2 sends it and it is refused here
		if err == nil || protocol.OutcomeOf(err) == protocol.NotStarted || protocol.OutcomeOf(err) == protocol.NotSent ||
			!strings.Contains(err.Error(), "oo large") && !strings.Contains(err.Error(), "oo Large") {
			return fmt.Errorf("wrong failure: %w", err)
		}
		return x.calls.Nothing(ctx)
	}
	if e := fails(err, protocol.Serialization, "status"); e != nil || protocol.OutcomeOf(err) != protocol.Executed {
		return fmt.Errorf("wrong failure: %w", err)
	}
	return x.calls.Nothing(ctx)
}

func (x *callCells) checked(ctx context.Context) error {
	_, err := x.calls.Fail(ctx, "checked")
	var e *fleet.Checked
	if !errors.As(err, &e) {
		return fmt.Errorf("not the exception: %w", err)
	}
	return want(fleet.Checked{Message: "checked message", Code: 42}, *e, nil)
}

func (x *callCells) custom(ctx context.Context) error {
	_, err := x.calls.Fail(ctx, "custom")
	var e *fleet.Custom
	if !errors.As(err, &e) {
		return fmt.Errorf("not the exception: %w", err)
	}
	return want(fleet.Custom{Message: "custom message", Detail: "more"}, *e, nil)
}

func (x *callCells) failure(kind, class, message string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := x.calls.Fail(ctx, kind)
		var e *protocol.Error
		if !errors.As(err, &e) || e.Code != protocol.Application || e.Outcome != protocol.Executed {
			return fmt.Errorf("not an answer of the service: %w", err)
		}
		return errors.Join(want(class, e.Class, nil), want(message, e.Message, nil))
	}
}

func (x *callCells) timeout(ctx context.Context) error {
	if s, err := x.calls.Sleep(ctx, 10); err != nil {
		return want("slept 10", s, err)
	}
	_, err := x.calls.Sleep(ctx, 4000)
	return fails(err, protocol.Timeout, "1s")
}

func (x *callCells) published(ctx context.Context) error {
	_, err := x.calls.Nap(ctx, 4000)
	return fails(err, protocol.Timeout, "700ms")
}

func (x *callCells) unknown(ctx context.Context) error {
	m := *method("where")
	m.Name, m.Index = "nowhere", -1
	err := x.ref.Invoke(ctx, &protocol.Invocation{Method: &m})
	if x.tri { // 3.2 says that it has no such method; 3.3 looks for it only while it decodes the call, and fails somehow
		if !strings.Contains(err.Error(), "unimplemented") && !strings.Contains(err.Error(), "methodDescriptors") ||
			protocol.OutcomeOf(err) == protocol.Executed {
			return fmt.Errorf("wrong failure: %w", err)
		}
		return nil
	}
	if e := fails(err, protocol.Network, "status"); e != nil { // 40 or 70: Java looks before the call only when there are arguments
		return e
	}
	m = *method("attachment")
	m.Name, m.Index = "nowhere", -1
	err = x.ref.Invoke(ctx, &protocol.Invocation{Method: &m, Args: &protocol.AnyRow{Value: "x"}})
	if protocol.OutcomeOf(err) != protocol.NotStarted {
		return fmt.Errorf("wrong failure: %w", err)
	}
	return fails(err, protocol.Network, "status 40")
}

func (x *callCells) nowhere(ctx context.Context) error {
	direct := ferry.NewClient("", ferry.Direct(x.address), ferry.Retries(0), ferry.Timeout(5*time.Second))
	defer direct.Close()
	g, err := direct.Generic("com.ferry.interop.Nowhere")
	if err != nil {
		return err
	}
	_, err = g.Call(ctx, "x", nil)
	if x.tri {
		return fails(err, protocol.Network, "unimplemented")
	}
	return fails(err, protocol.Network, "status")
}

func (x *callCells) genericCalls(ctx context.Context) error {
	two, err := x.generic.Call(ctx, "overload", []string{"java.lang.String", "int"}, "a", int32(4))
	long, err2 := x.generic.Call(ctx, "overload", []string{"long"}, int64(5))
	return errors.Join(want("String,int a 4", two, err), want("long 5", long, err2))
}

func (x *callCells) genericMaps(ctx context.Context) error {
	p := map[string]any{"class": "com.ferry.interop.Person", "name": "Mia", "age": int32(30), "favourite": "GREEN"}
	older, err := x.generic.Call(ctx, "older", []string{"com.ferry.interop.Person", "int"}, p, int32(2))
	if err = want(map[any]any{"class": "com.ferry.interop.Person", "name": "Mia", "age": int32(32), "favourite": "GREEN", "id": nil, "tags": nil}, older, err); err != nil {
		return err
	}
	family, err := x.generic.Call(ctx, "family", []string{"java.util.List", "com.ferry.interop.Color"}, []any{p}, "RED")
	list, _ := family.([]any)
	if err != nil || len(list) != 1 {
		return errors.Join(err, fmt.Errorf("got %v", family))
	}
	return want("RED", list[0].(map[any]any)["favourite"], nil)
}

func (x *callCells) genericFailure(ctx context.Context) error {
	_, err := x.generic.Call(ctx, "fail", []string{"java.lang.String"}, "checked")
	var e *protocol.Error
	if errors.As(err, &e) {
		err = errors.Join(want("com.ferry.interop.CheckedException", e.Class, nil), want("checked message", e.Message, nil))
	}
	return err
}

func (x *callCells) later(ctx context.Context) error {
	s, err := x.calls.Later(ctx, "Mia")
	return want("later Mia", s, err)
}
