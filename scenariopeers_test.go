package ferry_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
)

const tillService = "com.example.Till"

// A till writes down what it is asked, and answers with it.
type till struct {
	write func(item string) error
	hold  chan struct{} // what "hold" waits for
}

func (t *till) Buy(ctx context.Context, item string) (string, error) {
	if err := t.write(item); err != nil {
		return "", err
	}
	if item == "hold" {
		select {
		case <-t.hold:
		case <-ctx.Done():
		}
	}
	return item, nil
}

// A journal counts what all tills of a test wrote.
type journal struct {
	mu   sync.Mutex // guards runs
	runs map[string]int
}

func (j *journal) write(item string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.runs[item]++
	return nil
}

func (j *journal) count(item string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.runs[item]
}

type tillClient struct {
	Buy   func(ctx context.Context, item string) (string, error) `ferry:"buy"`
	Again func(ctx context.Context, item string) (string, error) `ferry:"buy,idempotent"`
	in    *ferry.Reference
}

func exportTill(t *testing.T, registry, group string, till *till, options ...ferry.Option) string {
	s := ferry.NewServer(registry, append(options, ferry.Group(group), ferry.Host("127.0.0.1"))...)
	require.NoError(t, s.ExportValue(tillService, till))
	t.Cleanup(func() { require.NoError(t, s.Close(canceled())) })
	return s.URLs()[0].Address()
}

// toTill returns a client that knows n providers.
func toTill(t *testing.T, registry, group, params string, n int) *tillClient {
	c := ferry.NewClient(registry, append(options(params), ferry.Group(group))...)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	ref, err := c.Refer(&protocol.Interface{Name: tillService})
	require.NoError(t, err)
	out := &tillClient{in: ref}
	require.NoError(t, proxy.Fill(ref, tillService, out))
	require.Eventually(t, func() bool { return len(ref.Directory().Snapshot().Targets) == n }, patience, time.Millisecond)
	return out
}

// tillEntry is what a provider of that group publishes.
func tillEntry(address, group string) string {
	return fmt.Sprintf("dubbo://%s/%s?interface=%s&group=%s&side=provider", address, tillService, tillService, group)
}

// provideToParent is the whole life of the test program when it plays a provider's process: a test killed it, or its parent is
// gone.
func provideToParent(registry string) error {
	ledger, err := os.OpenFile(os.Getenv("FERRY_TEST_LEDGER"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	s := ferry.NewServer(registry, ferry.Group("scenario-5"), ferry.Host("127.0.0.1"))
	err = s.ExportValue(tillService, &till{write: func(item string) error {
		_, err := ledger.WriteString(item + "\n") // in the kernel's hands before the call is answered
		time.Sleep(10 * time.Millisecond)         // so that some are under way at any time
		return err
	}})
	if err != nil {
		return err
	}
	fmt.Println("ready", s.URLs()[0].Address())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// startProvider runs it.
func startProvider(t *testing.T, registry, ledger string) (address string, kill func()) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FERRY_TEST_PROVIDER="+registry, "FERRY_TEST_LEDGER="+ledger)
	cmd.Stderr = os.Stderr
	_, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill() // fails only when it has ended
		_ = cmd.Wait()         // says that it was killed
	})
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	require.True(t, ok, line)
	return address, kill
}

// providerIsKilled with SIGKILL while it runs calls: of the calls under way those that may be repeated are, the others fail as
// unknown, and none runs twice that must not.
func providerIsKilled(t *testing.T, s *scene) {
	const group = "scenario-5"
	j := &journal{runs: map[string]int{}}
	exportTill(t, s.registry(1), group, &till{write: j.write})
	ledger := t.TempDir() + "/ledger"
	victim, kill := startProvider(t, s.registry(2), ledger)
	c := toTill(t, s.registry(3), group, "timeout=20s&loadbalance=roundrobin", 2)
	var made, failed atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	var callers sync.WaitGroup
	for caller := range 8 {
		callers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				item := fmt.Sprintf("%d-%d", caller, n)
				buy := c.Buy
				if caller%2 == 0 {
					item, buy = "again-"+item, c.Again
				}
				got, err := buy(context.Background(), item)
				switch {
				case err == nil && got != item:
					t.Errorf("%s got the answer of %s", item, got)
				case err == nil:
				case caller%2 == 0:
					t.Errorf("a call that may be repeated failed: %v", err)
				default:
					failed.Add(1)
					if protocol.OutcomeOf(err) != protocol.OutcomeUnknown || !strings.Contains(err.Error(), victim) {
						t.Errorf("not of unknown outcome at %s: %v", victim, err)
					}
				}
				made.Add(1)
				time.Sleep(time.Millisecond)
			}
		})
	}
	more := func(n int64) {
		n += made.Load()
		require.Eventually(t, func() bool { return made.Load() >= n }, patience, time.Millisecond)
	}
	more(200)
	kill()
	more(200)
	require.Eventually(t, func() bool { return len(c.in.Directory().State().URLs) == 1 }, patience, 10*time.Millisecond, "the entry ends with its session")
	cancel()
	callers.Wait()
	t.Logf("%d calls, %d of unknown outcome", made.Load(), failed.Load())
	// One per caller is usual; the kernel may close the victim's connections a moment before its listener, which then takes another.
	require.LessOrEqual(t, failed.Load(), int64(4*3), "only those that were under way")
	text, err := os.ReadFile(ledger)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		require.NoError(t, j.write(strings.TrimSpace(line)))
	}
	for item, n := range j.runs {
		require.True(t, n == 1 || strings.HasPrefix(item, "again-"), "%s ran %d times", item, n)
	}
}

// bent passes calls to a provider, and its answers through bend.
func bent(t *testing.T, provider string, bend func(frame []byte, to net.Conn) error) (address string) {
	return listen(t, func(c net.Conn) {
		defer c.Close()
		p, err := net.Dial("tcp", provider)
		if err != nil {
			return
		}
		var both sync.WaitGroup
		both.Go(func() { _, _ = io.Copy(p, c); p.Close() })
		for err == nil {
			var frame []byte
			if frame, err = wholeFrame(p); err == nil {
				err = bend(frame, c)
			}
		}
		c.Close()
		p.Close()
		both.Wait()
	})
}

func wholeFrame(r io.Reader) ([]byte, error) {
	frame := make([]byte, 16)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	frame = append(frame, make([]byte, binary.BigEndian.Uint32(frame[12:]))...)
	_, err := io.ReadFull(r, frame[16:])
	return frame, err
}

// providerMisbehaves in every way there is, beside a good one. A call that may be repeated does not fail, unless its answer
// cannot be read; others fail as unknown and never run twice; nobody gets another's answer.
func providerMisbehaves(t *testing.T, s *scene) {
	all := func(frame []byte, to net.Conn) error { _, err := to.Write(frame); return err }
	for name, bad := range map[string]struct {
		bend     func(frame []byte, to net.Conn) error // nil: it stops reading
		executed bool                                  // its calls fail as executed
		well     bool                                  // none fails
	}{
		"stops reading": {},
		"answers slowly": {well: true, bend: func(frame []byte, to net.Conn) (err error) {
			for step := len(frame)/20 + 1; len(frame) > 0 && err == nil; frame = frame[min(step, len(frame)):] {
				time.Sleep(time.Millisecond)
				err = all(frame[:min(step, len(frame))], to)
			}
			return err
		}},
		"answers garbage": {executed: true, bend: func(frame []byte, to net.Conn) error {
			for i := range frame[16:] {
				frame[16+i] = 0xff
			}
			return all(frame, to)
		}},
		"answers in another language": {bend: func(_ []byte, to net.Conn) error { return all([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), to) }},
		"answers twice":               {well: true, bend: func(frame []byte, to net.Conn) error { return errors.Join(all(frame, to), all(frame, to)) }},
		"answers late":                {bend: func(frame []byte, to net.Conn) error { time.Sleep(2500 * time.Millisecond); return all(frame, to) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			group := "scenario-6-" + strings.ReplaceAll(name, " ", "-")
			j := &journal{runs: map[string]int{}}
			exportTill(t, s.registry(1), group, &till{write: j.write})
			behind := exportTill(t, "", group, &till{write: j.write})
			address := ""
			if bad.bend == nil {
				over := make(chan struct{})
				address = listen(t, func(net.Conn) { <-over })
				t.Cleanup(func() { close(over) })
			} else {
				address = bent(t, behind, bad.bend)
			}
			entry := tillEntry(address, group)
			s.office.add(t, entry)
			defer s.office.remove(t, entry)
			c := toTill(t, s.registry(3), group, "timeout=2s&loadbalance=roundrobin&outlier.failures=2&outlier.interval=20s", 2)
			misbehave(t, c, j, address, bad.executed, bad.well)
		})
	}
}

func misbehave(t *testing.T, c *tillClient, j *journal, address string, executed, well bool) {
	failed, large := 0, strings.Repeat("x", 64<<10)
	for i := range 40 {
		item := fmt.Sprintf("%d-%s", i, large)
		buy, again := c.Buy, i/2%2 == 0 // in pairs, so that both kinds get to both providers
		if again {
			buy = c.Again
		}
		got, err := buy(context.Background(), item)
		switch {
		case err == nil:
			require.True(t, got == item, "the answer of another call")
			require.Positive(t, j.count(item))
		case executed:
			require.Equal(t, protocol.Executed, protocol.OutcomeOf(err), "%v", err)
			require.Equal(t, protocol.Serialization, protocol.CodeOf(err), "%v", err)
		default:
			require.False(t, again, "a call that may be repeated failed: %v", err)
			require.Equal(t, protocol.OutcomeUnknown, protocol.OutcomeOf(err), "%v", err)
		}
		if err != nil {
			failed++
			requireLine(t, err, address, tillService)
		}
		if !again {
			require.LessOrEqual(t, j.count(item), 1)
		}
	}
	if well {
		require.Zero(t, failed)
	}
	if executed {
		require.Positive(t, failed)
	}
}

// cableIsPulled: connections stay and carry nothing. Heartbeats notice it long before the calls' own time is over, and what
// may be repeated is.
func cableIsPulled(t *testing.T, s *scene) {
	const group = "scenario-7"
	j := &journal{runs: map[string]int{}}
	pulled, over := make(chan struct{}), make(chan struct{})
	behind := exportTill(t, "", group, &till{write: j.write, hold: over})
	address, unlisten := listenUntil(t, func(c net.Conn) {
		p, err := net.Dial("tcp", behind)
		if err != nil {
			c.Close()
			return
		}
		var both sync.WaitGroup
		pass := func(to, from net.Conn) {
			b := make([]byte, 32<<10)
			for {
				n, err := from.Read(b)
				select {
				case <-pulled:
					<-over
					err = net.ErrClosed
				default:
				}
				if err == nil {
					_, err = to.Write(b[:n])
				}
				if err != nil {
					to.Close()
					return
				}
			}
		}
		both.Go(func() { pass(p, c) })
		both.Go(func() { pass(c, p) })
		both.Wait()
	})
	end := sync.OnceFunc(func() { close(over) })
	t.Cleanup(end)
	entry := tillEntry(address, group)
	s.office.add(t, entry)
	defer s.office.remove(t, entry)
	c := toTill(t, s.registry(1), group, "timeout=60s&heartbeat=200ms&heartbeat.timeout=1s", 1)
	ends := make(chan error, 2)
	for _, call := range []func(context.Context, string) (string, error){c.Buy, c.Again} {
		go func() { _, err := call(context.Background(), "hold"); ends <- err }()
	}
	require.Eventually(t, func() bool { return j.count("hold") == 2 }, patience, time.Millisecond)
	good := make(chan struct{})
	close(good)
	exportTill(t, s.registry(2), group, &till{write: j.write, hold: good})
	require.Eventually(t, func() bool { return len(c.in.Directory().Snapshot().Targets) == 2 }, patience, time.Millisecond)
	unlisten()
	close(pulled)
	begun := time.Now()
	var failed []error
	for range 2 {
		if err := <-ends; err != nil {
			failed = append(failed, err)
		}
	}
	require.Less(t, time.Since(begun), patience, "not by their timeout of a minute")
	require.Len(t, failed, 1, "the one that may not be repeated")
	requireLine(t, failed[0], address, "unknown")
	require.Equal(t, protocol.OutcomeUnknown, protocol.OutcomeOf(failed[0]))
	require.Equal(t, 3, j.count("hold"))
	for range 20 {
		got, err := c.Buy(context.Background(), "fig")
		require.NoError(t, err)
		require.Equal(t, "fig", got)
	}
	end()
}
