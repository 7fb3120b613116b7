//go:build !race

package guard

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/benchmarks/echo"
)

const (
	callers = 64
	size    = 128
	rounds  = 15
	round   = 150 * time.Millisecond
	// least is how many times the calls of net/rpc Ferry must make with all its layers. It makes more than twice as many;
	// the distance is for noise. Rounds of the two follow each other at once, in an order that turns, and the median of
	// their ratios counts, so that it takes a disturbance of half the rounds of one side alone to change it.
	least = 1.5
)

// The test's own binary is the server when this variable is set.
const serverVariable = "FERRY_GUARD_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(serverVariable) != "" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// Echo is the service in the form that net/rpc wants.
type Echo struct{}

// Echo returns what it gets.
func (Echo) Echo(in, out *echo.Message) error { *out = *in; return nil }

// serve serves both until its standard input ends.
func serve() error {
	s := &ferry.Server{}
	if err := echo.ExportEcho(s, echo.Server{}); err != nil {
		return err
	}
	std := rpc.NewServer()
	if err := std.Register(Echo{}); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go std.ServeCodec(serverCodec{newCodec(conn)})
		}
	}()
	fmt.Println(s.URLs()[0].Address(), l.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func TestGuardRatioToNetRPC(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serverVariable+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	addresses := strings.Fields(line)
	require.Len(t, addresses, 2)

	c := ferry.NewClient("static://"+addresses[0], ferry.Timeout(10*time.Second))
	defer c.Close()
	ours, err := echo.ReferEcho(c)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", addresses[1])
	require.NoError(t, err)
	theirs := rpc.NewClientWithCodec(clientCodec{newCodec(conn)})
	defer theirs.Close()

	calls := [2]func(*echo.Message) error{
		func(m *echo.Message) error { _, err := ours.Echo(context.Background(), m); return err },
		func(m *echo.Message) error { return theirs.Call(method, m, &echo.Message{}) },
	}
	var rates [2][]float64
	var ratios []float64
	for i := range rounds + 1 {
		var now [2]float64
		for j := range calls {
			k := (i + j) % len(calls)
			now[k] = rate(t, calls[k])
		}
		if i > 0 { // the first round warms up
			rates[0], rates[1] = append(rates[0], now[0]), append(rates[1], now[1])
			ratios = append(ratios, now[0]/now[1])
		}
	}
	t.Logf("ferry %.0f calls/s, net/rpc with its own codec %.0f, ratios %.2f", median(rates[0]), median(rates[1]), ratios)
	require.GreaterOrEqual(t, median(ratios), least)
}

func median(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

// rate is the calls per second of one round.
func rate(t *testing.T, call func(*echo.Message) error) float64 {
	var stop atomic.Bool
	var calls atomic.Int64
	var wg sync.WaitGroup
	timer := time.AfterFunc(round, func() { stop.Store(true) })
	defer timer.Stop()
	start := time.Now()
	for range callers {
		wg.Go(func() {
			m := &echo.Message{ID: 7, Name: "a message", Payload: make([]byte, size)}
			n := int64(0)
			for !stop.Load() {
				if err := call(m); err != nil {
					t.Error(err)
					return
				}
				n++
			}
			calls.Add(n)
		})
	}
	wg.Wait()
	return float64(calls.Load()) / time.Since(start).Seconds()
}
