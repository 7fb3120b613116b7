package lock

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/zkembed"
)

// workerEnv makes the test program a worker: the address of the court, that of ZooKeeper, and whether it is reckless.
const workerEnv = "FERRY_LOCK_WORKER"

const workerSession = time.Second

// runWorker takes and leaves the lock until the court says stop. A reckless one has no deadline and writes without a look.
func runWorker(spec string) error {
	words := strings.Fields(spec)
	conn, err := net.Dial("tcp", words[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewScanner(conn)
	ask := func(format string, args ...any) string {
		if _, err := fmt.Fprintf(conn, format+"\n", args...); err != nil || !in.Scan() {
			os.Exit(0) // the court is over
		}
		return in.Text()
	}
	fmt.Fprintf(conn, "pid %d\n", os.Getpid())
	c, err := Open(extension.Env{}, fmt.Sprintf("zookeeper://%s?session=%d", words[1], workerSession.Milliseconds()))
	if err != nil {
		return err
	}
	defer c.Close()
	c.deadlineOff = words[2] == "reckless"
	m, err := c.Mutex("/processes/lock", Options{})
	if err != nil {
		return err
	}
	for {
		mark := ask("mark")
		if mark == "stop" {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second) // to look whether it is over
		l, err := m.Lock(ctx)
		cancel()
		if err == nil {
			ask("granted %s %s", l.Fence(), mark)
			section(l, ask, c.deadlineOff)
		}
	}
}

// section adds one to the number, and says all the time that it believes to hold the lock as long as it does.
func section(l *Lease, ask func(string, ...any) string, reckless bool) {
	read := ask("read %s", l.Fence())
	for end := time.Now().Add(rand.N(20 * time.Millisecond)); ; time.Sleep(time.Millisecond) {
		mark := ask("mark")
		if !l.Held() || mark == "stop" {
			break
		}
		ask("held %s %s", l.Fence(), mark)
		if time.Now().After(end) {
			break
		}
	}
	if read != "fenced" && (reckless || l.Held()) {
		ask("write %s %d", l.Fence(), number(read)+1)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	ask("released %s %v", l.Fence(), l.Unlock(ctx))
}

// A fleet is workers in processes of their own.
type fleet struct {
	t     *testing.T
	spec  string
	procs []*exec.Cmd
}

func (f *fleet) start(i int) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), workerEnv+"="+f.spec)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	require.NoError(f.t, cmd.Start())
	f.procs[i] = cmd
}

// freeze stops a process that has just read the number, before it knows, for longer than its session lasts, so that another one gets the lock.
func (f *fleet) freeze(ctx context.Context, c *court) {
	var k caught
	select {
	case k = <-c.reader:
	case <-ctx.Done():
		return
	}
	i := slices.IndexFunc(f.procs, func(cmd *exec.Cmd) bool { return cmd.Process.Pid == k.pid })
	if i < 0 { // it was killed with its question on the way
		close(k.still)
		return
	}
	err := zktest.Halt(f.procs[i].Process)
	close(k.still)
	require.NoError(f.t, err)
	pause(ctx, workerSession*3/2+rand.N(workerSession/2))
	_ = f.procs[i].Process.Signal(syscall.SIGCONT) // a process of ours that was not waited for is there
}

func (f *fleet) kill() {
	i := rand.N(len(f.procs))
	_ = f.procs[i].Process.Kill()
	_ = f.procs[i].Wait() // it says that it was killed
	f.start(i)
}

// trouble is what may be done to servers in between.
type trouble func(ctx context.Context)

// runFleet lets four processes share a lock for a while, with processes frozen and killed and the servers in trouble.
func runFleet(t *testing.T, addr string, d time.Duration, reckless string, c *court, bad trouble, enough func() bool) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() { c.serve(l) })
	f := &fleet{t: t, spec: l.Addr().String() + " " + addr + " " + reckless, procs: make([]*exec.Cmd, 4)}
	for i := range f.procs {
		f.start(i)
	}
	f.freeze(t.Context(), c) // one is frozen for its time, however slowly they began
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	for round := 1; ctx.Err() == nil && !enough(); round++ {
		pause(ctx, 100*time.Millisecond+rand.N(400*time.Millisecond))
		switch round % 3 {
		case 0:
			f.freeze(ctx, c)
		case 1:
			f.kill()
		case 2:
			bad(ctx)
		}
	}
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	for _, cmd := range f.procs {
		require.NoError(t, cmd.Wait(), "a worker ends as it should")
	}
	require.NoError(t, l.Close())
	serving.Wait()
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, addr string, d time.Duration, bad trouble) {
		c := newCourt()
		runFleet(t, addr, d, "careful", c, bad, func() bool { return false })
		t.Logf("%d sections, %d lost, %d refused by the gate, %d updates", c.sections, c.lost, c.fenced, c.number)
		require.Greater(t, c.sections, 10)
		require.Positive(t, c.lost, "somebody was frozen in a section")
		require.Empty(t, c.overlaps)
		require.Empty(t, c.disorder)
		require.Empty(t, c.strange)
		require.Equal(t, len(c.history), c.number, "an update was lost")
		require.True(t, c.consistent())
		line(t, open(t, addr, 5*time.Second), "/processes/lock", 0)
	}
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		z := embedded(t)
		run(t, z.Addr(), 3*time.Second, func(ctx context.Context) {
			z.Hold(zkembed.Both)
			pause(ctx, rand.N(2*workerSession))
			z.Release()
		})
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		z := zktest.Start(t, zktest.Options{})
		run(t, z.Addr(), 5*time.Second, func(ctx context.Context) {
			if rand.N(2) == 0 {
				z.Kill(t)
				z.Start(t, true)
				return
			}
			thaw := z.Freeze(t)
			pause(ctx, rand.N(workerSession*3/2))
			thaw()
		})
	})
	t.Run("ensemble", func(t *testing.T) {
		t.Parallel()
		e := zktest.StartEnsemble(t, zktest.Options{})
		run(t, e.Addr(), 7*time.Second, func(ctx context.Context) {
			leader := e.Leader(t)
			leader.Kill(t)
			pause(ctx, rand.N(workerSession))
			leader.Start(t, true)
		})
	})
}

// With leases that do not end by themselves, and a resource that asks for no fence, the same court sees two that hold at once,
// and updates that are lost. With the fence no update is lost, however reckless the workers are.
func TestRecklessProcesses(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, c *court, seen func() bool) {
		runFleet(t, embedded(t).Addr(), 40*time.Second, "reckless", c, func(context.Context) {}, func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.overlaps) > 0 && seen()
		})
		require.NotEmpty(t, c.overlaps)
	}
	t.Run("no fence", func(t *testing.T) {
		t.Parallel()
		c := newCourt()
		c.ungated = true
		run(t, c, func() bool { return len(c.history) > c.number })
		require.Greater(t, len(c.history), c.number)
		require.False(t, c.consistent())
	})
	t.Run("fence", func(t *testing.T) {
		t.Parallel()
		c := newCourt()
		run(t, c, func() bool { return c.fenced > 0 })
		require.Positive(t, c.fenced)
		require.Equal(t, len(c.history), c.number)
		require.True(t, c.consistent())
	})
}
