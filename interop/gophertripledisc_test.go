package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/interop/fleet"
)

// triMsgpack passes values in msgpack inside the wrapper, both ways. What dubbo-go does not read of its own is not asked for.
func (x *gophers) triMsgpack() {
	const format = "serialization=msgpack"
	t := x.t
	provider := x.start("provider", "protocol=tri", "application=go-msgpack", "port="+freePort(t), format)
	consumer := x.start("consumer", "protocol=tri", "application=go-consumer", format)
	require.NoError(t, eventually(who(consumer, "go-msgpack")))
	control := consumer.tell("gopher")
	consumer.stop()

	c := client(t, x.registry+"?registry-type=interface", ferry.Param("serialization", "msgpack"))
	require.NoError(t, fleet.RegisterGopherTypes(c.Types()))
	g, err := fleet.ReferGopher(c)
	require.NoError(t, err)
	report(t, "tri serialization/msgpack", gopher.name, fromFerry, packed(t.Context(), g))
	require.NoError(t, c.Close())
	provider.stop()

	s := x.serve("ferry-msgpack", ferry.Param("protocol", "tri"), ferry.Param("serialization", "msgpack"))
	consumer = x.start("consumer", "protocol=tri", "application=go-consumer", format)
	require.NoError(t, eventually(who(consumer, "ferry-msgpack")))
	var errs []error
	for _, line := range consumer.tell("gopher") {
		name, _, failed := strings.Cut(line, " FAIL ")
		if failed && !slices.ContainsFunc(control, func(l string) bool { return strings.HasPrefix(l, name+" FAIL ") }) {
			errs = append(errs, errors.New(line))
		}
	}
	report(t, "tri serialization/msgpack", gopher.name, toFerry, errors.Join(errs...))
	consumer.stop()
	closeServer(t, s)
}

// packed echoes what msgpack has.
func packed(ctx context.Context, g fleet.Gopher) error {
	born := time.UnixMilli(1700000000123)
	ann := &fleet.Citizen{Name: "Ann", Age: 30, Born: born, Tags: []string{"x", "y"}, Friends: []*fleet.Citizen{{Name: "Bob", Born: born}}}
	pairs := map[string]string{"a": "1", "中": "😀"}
	return errors.Join(equal(true)(g.EchoBool(ctx, true)), equal(int32(-70000))(g.EchoInt(ctx, -70000)), equal(int64(1)<<40)(g.EchoLong(ctx, 1<<40)),
		equal(1.0/3)(g.EchoDouble(ctx, 1.0/3)), equal("Hello 中😀")(g.EchoString(ctx, "Hello 中😀")), equal([]byte{1, 2, 255})(g.EchoBytes(ctx, []byte{1, 2, 255})),
		equal([]string{"a", "", "中"})(g.EchoStrings(ctx, []string{"a", "", "中"})), equal(pairs)(g.EchoMap(ctx, pairs)),
		equal(ann)(g.EchoCitizen(ctx, ann)), equal([]*fleet.Citizen{ann, ann})(g.EchoCitizens(ctx, []*fleet.Citizen{ann, ann}, 2)), equal(born)(g.EchoDate(ctx, born)))
}

// triDiscovery restarts and kills providers of either kind at tri:// while the other one's consumers call them.
func (x *gophers) triDiscovery() {
	x.triProviders()
	x.triKilled()
	t := x.t
	consumer := x.start("consumer", "protocol=tri", "application=go-consumer")
	a := x.serve("ferry-a", ferry.Param("protocol", "tri"))
	report(t, "tri discovery/consumer first", gopher.name, toFerry, eventually(who(consumer, "ferry-a")))
	late := x.start("consumer", "protocol=tri", "application=go-late")
	report(t, "tri discovery/provider first", gopher.name, toFerry, eventually(who(late, "ferry-a")))
	late.stop()
	consumer.tell("loop")
	consumer.tell("await ferry-a")
	b := x.serve("ferry-b", ferry.Param("protocol", "tri"))
	consumer.tell("await ferry-b")
	closeServer(t, a)
	time.Sleep(time.Second) // of calls
	report(t, "tri discovery/rolling restart, no call fails", gopher.name, toFerry, looped(consumer.tell("stop"), "ferry-a", "ferry-b"))
	consumer.stop()
	closeServer(t, b)
}

// triProviders has dubbo-go's providers come and go.
func (x *gophers) triProviders() {
	t := x.t
	// What is known not to have run goes to the next provider, as by default.
	c := ferry.NewClient(x.registry+"?registry-type=interface", ferry.Param("application", "ferry-consumer"), ferry.Timeout(20*time.Second))
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	g, err := fleet.ReferGopher(c, ferry.Check(false))
	require.NoError(t, err)
	a := x.provider("go-a", "protocol=tri")
	l := loop(g)
	err = eventually(func() error { l.forgive(); return l.reached("go-a")() })
	report(t, "tri discovery/consumer first", gopher.name, fromFerry, err)
	late, err := fleet.ReferGopher(client(t, x.registry+"?registry-type=interface"))
	require.NoError(t, err)
	got, err := late.Who(t.Context())
	report(t, "tri discovery/provider first", gopher.name, fromFerry, equal("go-a")(got, err))
	b := x.provider("go-b", "protocol=tri")
	require.NoError(t, eventually(l.reached("go-b")))
	a.stop()
	err = eventually(l.only("go-b"))
	report(t, "tri discovery/rolling restart, no call fails", gopher.name, fromFerry, errors.Join(err, l.end()))
	require.NoError(t, c.Close())
	b.stop()
}

// triKilled ends providers of either kind as a power cut does, under calls that may be repeated.
func (x *gophers) triKilled() {
	const name = "tri discovery/provider killed, failover, no call fails"
	t := x.t
	c := client(t, x.registry+"?registry-type=interface", ferry.Retries(2))
	a, b := x.provider("go-a", "protocol=tri"), x.provider("go-b", "protocol=tri")
	g, err := fleet.ReferGopher(c, ferry.Method("who", ferry.Param("idempotent", "true"))...)
	require.NoError(t, err)
	l := loop(g)
	require.NoError(t, eventually(l.reached("go-a")))
	require.NoError(t, eventually(l.reached("go-b")))
	require.NoError(t, a.cmd.Process.Kill())
	<-a.ended
	err = eventually(l.only("go-b"))
	report(t, name, gopher.name, fromFerry, errors.Join(err, l.end()))
	require.NoError(t, c.Close())
	b.stop()

	one := process(t, "registry="+x.registry+"?session=10000", "who=ferry-a", "protocol=tri")
	two := process(t, "registry="+x.registry+"?session=10000", "who=ferry-b", "protocol=tri")
	consumer := x.start("consumer", "protocol=tri", "application=go-consumer", "retries=2")
	consumer.tell("loop")
	consumer.tell("await ferry-a")
	consumer.tell("await ferry-b")
	require.NoError(t, one.cmd.Process.Kill())
	<-one.ended
	require.NoError(t, eventually(gone(func() error { return x.listed("providers", "ferry-a") })))
	answer := consumer.tell("stop")
	consumer.stop()
	two.stop()
	if slices.ContainsFunc(answer, func(line string) bool { return strings.HasPrefix(line, "PANICKED ") }) {
		require.NoError(t, x.forgetsItself(), "the control")
	}
	survived(t, name, answer, "ferry-a", "ferry-b")
}

// forgotten says whether a consumer ended in a panic because its failover asked for the URL of a provider that it had already thrown away.
func forgotten(consumer *program) error {
	b, err := os.ReadFile(consumer.log)
	if text := string(b); err == nil && !(strings.Contains(text, "common.(*URL).Key(0x0)") && strings.Contains(text, "failoverClusterInvoker).Invoke")) {
		err = fmt.Errorf("the consumer ended by another cause: %s", tail(text))
	}
	return err
}

// forgetsItself is the control of that panic: a provider of dubbo-go ends, in good order, under a call that is about to fail.
func (x *gophers) forgetsItself() error {
	provider := x.provider("go-a", "protocol=tri")
	consumer := x.start("consumer", "protocol=tri", "application=go-consumer")
	if err := eventually(who(consumer, "go-a")); err != nil {
		return err
	}
	consumer.tell("doomed")
	consumer.tell("who") // behind it
	provider.stop()
	defer consumer.stop()
	select {
	case <-consumer.ended:
		return forgotten(consumer)
	case <-time.After(30 * time.Second):
		return errors.New("dubbo-go's consumer lives on when a call to its own provider, which has left, fails")
	}
}
