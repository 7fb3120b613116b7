package interop

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/interop/fleet"
	"github.com/ferryrpc/ferry/protocol"
)

// gopherCalls is dubbo-go where controls of calls are looked up.
var gopherCalls = javaPeer{line: "go calls", name: gopher.name}

// TestDubboGoCalls makes the kinds of calls that dubbo-go knows, both ways. Overloads it has none, as Go has none.
func TestDubboGoCalls(t *testing.T) {
	t.Parallel()
	if !wanted(gopher.line) {
		return
	}
	program := filepath.Join(t.TempDir(), "dubbogo")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "dubbogo"
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	server := zktest.Start(t, zktest.Options{})
	x := &gophers{t: t, program: program, address: server.Addr(), registry: "zookeeper://" + server.Addr()}
	port := freePort(t)
	provider := x.start("provider", "application=go-app", "port="+port)
	controls.Store(gopherCalls.line, x.answers("go-app"))
	x.callsOf("127.0.0.1:" + port)
	provider.stop()

	s := x.serve("ferry-app")
	cells(t, gopherCalls, toFerry, x.answers("ferry-app"))
	closeServer(t, s)
}

// answers are what dubbo-go's consumers find, with the provider that is there.
func (x *gophers) answers(want string) []string {
	plain, generic := x.start("consumer", "application=go-calls"), x.start("consumer", "application=go-generic", "generic=true")
	require.NoError(x.t, eventually(who(plain, want)))
	all := slices.Concat(plain.tell("calls"), generic.tell("generic"))
	plain.stop()
	generic.stop()
	return all
}

// callsOf has a provider of dubbo-go.
func (x *gophers) callsOf(address string) {
	t := x.t
	c := client(t, x.registry)
	ref, err := c.Refer(fleet.GopherService)
	require.NoError(t, err)
	g := fleet.NewGopher(ref)
	generic, err := c.Generic(fleet.GopherService.Name)
	require.NoError(t, err)
	blob := func(n int) func(context.Context) error {
		return func(ctx context.Context) error {
			data := bytes.Repeat([]byte{253}, n)
			got, err := g.EchoBytes(ctx, data)
			return want(data, got, err)
		}
	}
	for _, one := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"$echo", func(ctx context.Context) error {
			arg, reply := protocol.AnyRow{Value: "ok"}, protocol.AnyRow{}
			err := ref.Invoke(ctx, &protocol.Invocation{Method: protocol.NewEchoMethod(fleet.GopherService.Name), Args: &arg, Reply: &reply})
			return want("ok", reply.Value, err)
		}},
		{"96 KiB both ways", blob(96 << 10)},
		{"unknown method", func(ctx context.Context) error {
			m := *fleet.GopherService.Methods[0]
			m.Name, m.Index = "nowhere", -1
			err := ref.Invoke(ctx, &protocol.Invocation{Method: &m, Args: &protocol.AnyRow{Value: "x"}})
			if err == nil || protocol.OutcomeOf(err) == protocol.NotSent || protocol.CodeOf(err) == protocol.Timeout {
				return fmt.Errorf("wrong failure: %w", err)
			}
			return equal("go-app")(g.Who(ctx))
		}},
		{"unknown service", func(ctx context.Context) error {
			direct := ferry.NewClient("", ferry.Direct("dubbo://"+address), ferry.Retries(0), ferry.Timeout(5*time.Second))
			defer direct.Close()
			nowhere, err := direct.Generic("com.ferry.interop.Nowhere")
			if err != nil {
				return err
			}
			if _, err = nowhere.Call(ctx, "x", nil); err == nil || protocol.CodeOf(err) == protocol.Timeout {
				return fmt.Errorf("wrong failure: %w", err)
			}
			return nil
		}},
		{"generic", func(ctx context.Context) error {
			n, err := generic.Call(ctx, "echoInt", []string{"int"}, int32(5))
			return want(int32(5), n, err)
		}},
		{"past the peer's own limit of 100 KiB", func(ctx context.Context) error {
			err := blob(7 * mib)(ctx)
			// Whoever is at fault: it is said at once, and the next call works.
			require.NotEqual(t, protocol.Timeout, protocol.CodeOf(err), "%v", err)
			require.NoError(t, equal("go-app")(g.Who(ctx)))
			return err
		}},
		{"async", func(ctx context.Context) error {
			s, err := ferry.Go(ctx, g.Who).Wait(ctx)
			return want("go-app", s, err)
		}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		judge(t, "calls/"+one.name, gopherCalls, fromFerry, one.run(ctx))
		cancel()
	}
	require.NoError(t, c.Close())
}
