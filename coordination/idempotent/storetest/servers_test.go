package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite" // the driver of SQLite in the process

	"github.com/ferryrpc/ferry/coordination/idempotent"
	"github.com/ferryrpc/ferry/internal/leak"
)

const patience = 60 * time.Second

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		fmt.Fprintln(os.Stderr, errors.Join(errChild, child(text)))
		os.Exit(1)
	}
	code := m.Run()
	if s := elephant.server; s != nil {
		s.end()
		_ = os.RemoveAll(s.dir)
	}
	if code == 0 {
		if err := goleak.Find(leak.Known()...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// A server is a process that a test started.
type server struct {
	dir  string
	port int
	args []string
	as   *syscall.Credential
	cmd  *exec.Cmd
	over chan struct{}
}

func (s *server) addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

func (s *server) start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: s.as}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("%w (make deps installs it)", err)
	}
	s.over = make(chan struct{})
	go func(cmd *exec.Cmd, over chan struct{}) {
		_ = cmd.Wait()
		close(over)
	}(s.cmd, s.over)
	for deadline := time.Now().Add(patience); ; {
		c, err := net.DialTimeout("tcp", s.addr(), time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case <-s.over:
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("%s ended: %s", s.args[0], text)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

// kill ends the server as a crash would.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.over
}

// end stops PostgreSQL's children too; a killed postmaster's notice by themselves.
func (s *server) end() {
	_ = s.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-s.over:
	case <-time.After(5 * time.Second):
		s.kill()
	}
}

func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// startRedis runs a Redis that writes each command to its file before it answers.
func startRedis(t testing.TB) *server {
	s := &server{dir: t.TempDir(), port: freePort(t)}
	s.args = []string{"redis-server", "--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir", s.dir}
	require.NoError(t, s.start())
	t.Cleanup(s.kill)
	return s
}

func redisClient(t testing.TB, s *server) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.addr(), MaxRetries: -1, DialTimeout: time.Second, ReadTimeout: 5 * time.Second})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

var elephant struct {
	once   sync.Once
	server *server
	err    error
}

// startPostgres returns the one PostgreSQL of the tests. It refuses to run as root, so it has a user and a folder of its own.
func startPostgres(t testing.TB) *server {
	elephant.once.Do(func() { elephant.server, elephant.err = newPostgres(t) })
	require.NoError(t, elephant.err)
	return elephant.server
}

func newPostgres(t testing.TB) (*server, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return nil, errors.New("no /usr/lib/postgresql/*/bin/initdb: make deps installs it")
	}
	bin := filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "ferry-postgres-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, port: freePort(t)}
	if os.Getuid() == 0 {
		if s.as, err = credential("postgres"); err != nil {
			if s.as, err = credential("nobody"); err != nil {
				return nil, err
			}
		}
		if err := os.Chown(dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "ferry", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: s.as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	s.args = []string{filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "shared_buffers=32MB", "-c", "max_connections=60"}
	if err := s.start(); err != nil {
		return nil, err
	}
	return s, nil
}

func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// postgresDSN waits until the server takes connections and returns how to reach it.
func postgresDSN(t testing.TB) string {
	dsn := fmt.Sprintf("postgres://ferry@%s/postgres?sslmode=disable", startPostgres(t).addr())
	require.Eventually(t, func() bool {
		c, err := pgx.Connect(context.Background(), dsn)
		if err != nil {
			return false
		}
		return c.Close(context.Background()) == nil
	}, patience, 20*time.Millisecond)
	return dsn
}

// A database is one of the two with a table of its own.
type database struct {
	name    string
	dialect idempotent.Dialect
	open    func(t testing.TB) *sql.DB // another connection pool on the same data
	table   string
	dsn     string
}

// databases returns both, empty.
func databases(t testing.TB) []database { return []database{sqlite(t), postgres(t)} }

// table is a name that no test had before, since all have the same PostgreSQL.
func table() string { return "t_" + strings.ToLower(idempotent.NewOwner()[:16]) }

func sqlite(t testing.TB) database {
	file := filepath.Join(t.TempDir(), "records.db")
	return database{"SQLite", idempotent.SQLite, func(t testing.TB) *sql.DB {
		db, err := sql.Open("sqlite", sqliteDSN(file))
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		return db
	}, table(), sqliteDSN(file)}
}

// sqliteDSN is what several processes that write to one file need: readers beside the writer, patience, and transactions that
// ask for the lock when they begin.
func sqliteDSN(file string) string {
	return "file:" + file + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(20000)&_txlock=immediate"
}

func postgres(t testing.TB) database {
	dsn := postgresDSN(t)
	return database{"PostgreSQL", idempotent.PostgreSQL, func(t testing.TB) *sql.DB {
		cfg, err := pgx.ParseConfig(dsn)
		require.NoError(t, err)
		db := stdlib.OpenDB(*cfg)
		db.SetMaxOpenConns(8)
		t.Cleanup(func() { _ = db.Close() })
		return db
	}, table(), dsn}
}

// store returns a view of the database's records.
func (d database) store(t testing.TB) *idempotent.SQL {
	s, err := idempotent.NewSQL(d.open(t), d.dialect, idempotent.SQLOptions{Table: d.table})
	require.NoError(t, err)
	require.NoError(t, s.CreateTable(context.Background()))
	return s
}
