package storetest

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
)

const service = "com.example.Ledger"

// A ledger is a service whose effects are rows of a table.
type ledger struct {
	name  string
	db    *sql.DB
	table string
	tx    bool
	after func() // called between effect and record
}

// Pay inserts a row and says who did it.
func (l *ledger) Pay(ctx context.Context, order string) (string, error) {
	insert := fmt.Sprintf("INSERT INTO %s_effects VALUES ('%s', '%s')", l.table, order, l.name)
	var err error
	if l.tx {
		err = idempotent.RunTx(ctx, l.db, func(tx *sql.Tx) error { _, err := tx.ExecContext(ctx, insert); return err })
	} else {
		_, err = l.db.ExecContext(ctx, insert)
	}
	if err != nil {
		return "", err
	}
	if l.after != nil {
		l.after()
	}
	return "paid by " + l.name, nil
}

// who returns who paid an order, in no order.
func (l *ledger) who(t testing.TB, order string) []string {
	t.Helper()
	rows, err := l.db.Query(fmt.Sprintf("SELECT who FROM %s_effects WHERE ord = '%s'", l.table, order))
	require.NoError(t, err)
	defer rows.Close()
	var out []string
	for rows.Next() {
		var who string
		require.NoError(t, rows.Scan(&who))
		out = append(out, who)
	}
	require.NoError(t, rows.Err())
	return out
}

// A job says what a child process serves.
type job struct {
	DSN, Table, Registry, Policy, Lease string
	Dialect                             idempotent.Dialect
	Weight                              int
}

func (j job) open() (*sql.DB, error) {
	if j.Dialect == idempotent.SQLite {
		return sql.Open("sqlite", j.DSN)
	}
	cfg, err := pgx.ParseConfig(j.DSN)
	if err != nil {
		return nil, err
	}
	return stdlib.OpenDB(*cfg), nil
}

// serve exports the ledger, with its records in the same database.
func (j job) serve(name string, db *sql.DB, after func(), resolve idempotent.Resolver) (*ferry.Server, error) {
	store, err := idempotent.NewSQL(db, j.Dialect, idempotent.SQLOptions{Table: j.Table})
	if err != nil {
		return nil, err
	}
	s := ferry.NewServer(j.Registry, ferry.Host("127.0.0.1"), ferry.Weight(j.Weight), ferry.Param("idempotent", "sql"),
		ferry.Param("idempotent.policy", j.Policy), ferry.Param("idempotent.lease", j.Lease))
	s.Extensions = ferry.Builtin()
	if err := s.Extensions.Idempotent.Use("sql", store); err != nil {
		return nil, err
	}
	if resolve != nil {
		s.Extensions.Idempotent.Resolve(service, "pay", resolve)
	}
	return s, s.ExportValue(service, &ledger{name: name, db: db, table: j.Table, tx: j.Policy == "transactional", after: after})
}

const childEnv = "FERRY_STORETEST_CHILD"

// child is the whole of a child process: it serves, says so, says when it ran a call, and goes on when it is told to.
func child(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	db, err := j.open()
	if err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	if _, err := j.serve("first", db, func() {
		fmt.Println("ran")
		_, _ = in.ReadString('\n')
	}, nil); err != nil {
		return err
	}
	fmt.Println("serving")
	select {}
}

// A provider is a child process.
type provider struct {
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

func startChild(t *testing.T, j job) *provider {
	t.Helper()
	text, err := json.Marshal(j)
	require.NoError(t, err)
	p := &provider{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.in, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewReader(out)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(p.kill)
	p.says(t, "serving")
	return p
}

func (p *provider) says(t *testing.T, word string) {
	t.Helper()
	line, err := p.out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, word+"\n", line)
}

func (p *provider) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// customer is a client of ledgers.
type customer struct {
	Pay func(ctx context.Context, order string) (string, error)
	in  *ferry.Reference
}

func refer(t *testing.T, registry string, n int, options ...ferry.Option) *customer {
	t.Helper()
	c := ferry.NewClient(registry, ferry.Param("application", "shop"), ferry.Timeout(patience))
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	ref, err := c.Refer(&protocol.Interface{Name: service}, options...)
	require.NoError(t, err)
	out := &customer{in: ref}
	require.NoError(t, proxy.Fill(ref, service, out))
	require.Eventually(t, func() bool { return len(ref.Directory().Snapshot().Targets) == n }, patience, tick)
	return out
}

var errChild = errors.New("the child ended")
