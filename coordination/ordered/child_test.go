package ordered_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/proxy"
)

const (
	childRegistry = "FERRY_ORDERED_CHILD"
	childBook     = "FERRY_ORDERED_BOOK"
	bookService   = "com.example.Book"
)

// A book is the journal, as providers in other processes write into it.
type book struct{ j *journal }

// Write adds an event.
func (b book) Write(_ context.Context, key, caller, client string, seq, epoch int64) (int64, error) {
	return b.j.write(key, event{client, uint64(seq), caller, epoch})
}

// A remoteDesk is the service of a provider process.
type remoteDesk struct {
	Write func(ctx context.Context, key, caller, client string, seq, epoch int64) (int64, error)
}

type childDesk struct{ book *remoteDesk }

// Append writes into the book of the test's process.
func (d childDesk) Append(ctx context.Context, key, caller string) (int64, error) {
	turn, _ := ordered.From(ctx)
	return d.book.Write(context.WithoutCancel(ctx), key, caller, turn.Client, int64(turn.Seq), turn.Fence.Token)
}

// child is a provider process: it serves until it is killed, or its parent is gone.
func child() {
	c := ferry.NewClient("", ferry.Direct(os.Getenv(childBook)), ferry.Timeout(5*time.Second))
	ref, err := c.Generic(bookService)
	d := &remoteDesk{}
	if err == nil {
		err = proxy.Fill(ref.Reference, bookService, d)
	}
	s := ferry.NewServer(os.Getenv(childRegistry), ferry.Host("127.0.0.1"), ferry.Param("append.ordered", "true"), ferry.Param("append.ordered.key", "0"),
		ferry.Param("ordered.store", os.Getenv("FERRY_ORDERED_STORE")))
	if err == nil {
		err = s.ExportValue(service, childDesk{d})
	}
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
	b := make([]byte, 1)
	_, _ = os.Stdin.Read(b) // ends with the parent
}

type provider struct {
	cmd  *exec.Cmd
	once sync.Once
}

func (p *provider) signal(t testing.TB, s os.Signal) { require.NoError(t, p.cmd.Process.Signal(s)) }

func (p *provider) end() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill() // it may be dead
		_ = p.cmd.Wait()         // it says that it was killed
	})
}

func startChild(t testing.TB, registry, bookURL, store string) *provider {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRegistry+"="+registry, childBook+"="+bookURL, "FERRY_ORDERED_STORE="+store)
	_, err := cmd.StdinPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	p := &provider{cmd: cmd}
	t.Cleanup(p.end)
	return p
}

// processes makes calls while provider processes are killed and frozen for longer than their sessions.
func processes(t *testing.T, z zktest.Target, store string) (*workload, *journal) {
	j := newJournal()
	j.fences = true
	b := ferry.NewServer("", ferry.Host("127.0.0.1"))
	require.NoError(t, b.ExportValue(bookService, book{j}))
	t.Cleanup(func() { require.NoError(t, b.Close(ended())) })
	at := b.URLs()[0]
	bookURL := "dubbo://" + at.Address()
	s := &sessions{address: z.Addr(), session: 1500 * time.Millisecond}
	var all []*provider
	for range 3 {
		all = append(all, startChild(t, s.url(), bookURL, store))
	}
	w := newWorkload(t, 30)
	for range 2 {
		w.run(consume(t, (&sessions{address: z.Addr(), session: 10 * time.Second}).url()), 4, 1<<20)
	}
	more := func(n int) {
		t.Helper()
		from := j.total()
		require.Eventually(t, func() bool { return j.total() > from+n }, patience, time.Millisecond)
	}
	more(100)
	all[0].signal(t, syscall.SIGKILL)
	epochs := j.owners()
	require.Eventually(t, func() bool { return j.owners() > epochs }, patience, time.Millisecond)
	more(100)
	all[1].signal(t, syscall.SIGSTOP)
	epochs = j.owners()
	require.Eventually(t, func() bool { return j.owners() > epochs }, patience, time.Millisecond)
	all[1].signal(t, syscall.SIGCONT)
	more(100)
	w.finish()
	return w, j
}

func TestOwnersAreKilledAndFrozen(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		w, j := processes(t, z, "memory")
		require.Empty(t, w.failed)
		j.requireOrder(t, true, 0)
		w.requireAllThere(t, j)
	})
}

// TestKilledOwnersLeaveTheirState: with a store nothing runs twice. What an owner ran when it died has an unknown outcome.
func TestKilledOwnersLeaveTheirState(t *testing.T) {
	real.Both(t, func(t *testing.T, z zktest.Target) {
		w, j := processes(t, z, "zookeeper")
		require.Zero(t, j.doubles())
		j.requireOrder(t, false, len(w.failed))
		for _, err := range w.failed {
			require.True(t, strings.Contains(err.Error(), "OUTCOME_UNKNOWN"), "%v", err)
		}
		w.requireAllThere(t, j)
		w.requireLinear(t)
	})
}
