package ordered_test

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/ordered"
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
