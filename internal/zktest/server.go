package zktest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Server is one ZooKeeper process. Its methods are for one goroutine at a time. It keeps its address over Stop and Start.
type Server struct {
	o     Options
	dir   string
	id    int // number within an ensemble, from 1
	port  int
	proc  *process
	quiet bool // frozen
}

// Addr is the host:port for clients.
func (s *Server) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// Stop ends the process and waits for it. Its data stay. A stopped server may be stopped again.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
}

// Kill ends the process as a crash would, with SIGKILL. Its data stay.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.quiet = false
	if err := s.proc.end(syscall.SIGKILL, stopLimit); err != nil {
		t.Fatal(err)
	}
}

// Start runs a stopped server again, at the same address, and waits until it serves. With keep it still has its nodes and
// sessions (whose timeouts begin anew), otherwise it is empty.
func (s *Server) Start(t testing.TB, keep bool) {
	t.Helper()
	if err := s.start(keep); err != nil {
		t.Fatal(err)
	}
	if err := s.ready(time.Now().Add(startLimit)); err != nil {
		t.Fatal(err)
	}
}

// Freeze halts the process: connections stay, nothing is answered. The returned function lets it go on.
func (s *Server) Freeze(t testing.TB) (thaw func()) {
	t.Helper()
	if err := Halt(s.proc.proc); err != nil {
		t.Fatal(err)
	}
	s.quiet = true
	return func() {
		if s.quiet {
			s.quiet = false
			if err := s.proc.signal(syscall.SIGCONT); err != nil {
				t.Error(err)
			}
		}
	}
}

func (s *Server) start(keep bool) error {
	if !s.proc.exited() {
		return fmt.Errorf("zktest: server at %s runs already", s.Addr())
	}
	if !keep {
		if err := os.RemoveAll(filepath.Join(s.dir, "data", "version-2")); err != nil {
			return fmt.Errorf("zktest: wipe data: %w", err)
		}
	}
	return s.run()
}

// end stops the process politely. A frozen one is let go first, since it could not see the signal.
func (s *Server) end() error {
	if s.quiet {
		s.quiet = false
		_ = s.proc.signal(syscall.SIGCONT) // fails only if it is gone, which is what is wanted
	}
	return s.proc.end(syscall.SIGTERM, stopLimit)
}

// prepare writes the files that the server reads: zoo.cfg, the log configuration, and myid. peers are the server.N lines
// of an ensemble.
func (s *Server) prepare(peers []string) error {
	lines := []string{
		"tickTime=" + millis(s.o.Tick),
		"minSessionTimeout=" + millis(s.o.MinSession),
		"maxSessionTimeout=" + millis(s.o.MaxSession),
		"initLimit=50", "syncLimit=25",
		"dataDir=" + filepath.Join(s.dir, "data"),
		"clientPortAddress=127.0.0.1", "clientPort=" + strconv.Itoa(s.port),
		"maxClientCnxns=0", "admin.enableServer=false",
		"4lw.commands.whitelist=*", "extendedTypesEnabled=true",
	}
	if !s.o.Sync {
		lines = append(lines, "forceSync=no")
	}
	lines = append(append(lines, s.o.Config...), peers...)
	logging := "log4j.rootLogger=INFO, OUT\nlog4j.appender.OUT=org.apache.log4j.ConsoleAppender\n" +
		"log4j.appender.OUT.layout=org.apache.log4j.PatternLayout\nlog4j.appender.OUT.layout.ConversionPattern=%d{ABSOLUTE} %p %c{1}: %m%n\n"
	for name, text := range map[string]string{
		"zoo.cfg":               strings.Join(lines, "\n") + "\n",
		"conf/log4j.properties": logging,
		"data/myid":             strconv.Itoa(s.id) + "\n",
	} {
		name = filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("zktest: %w", err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return fmt.Errorf("zktest: %w", err)
		}
	}
	return nil
}

func (s *Server) run() (err error) {
	args := []string{
		// Tests run a server for seconds: the first compiler alone, a small heap and no shared statistics file start fastest.
		"-Xms32m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Dzookeeper.extendedTypesEnabled=true", "-Dznode.container.checkIntervalMs=" + millis(reap), "-Dzookeeper.preAllocSize=1024",
	}
	for _, p := range s.o.Properties {
		args = append(args, "-D"+p)
	}
	path := []string{filepath.Join(s.dir, "conf")}
	for _, jar := range []string{"zookeeper", "slf4j-log4j12", "log4j-1.2", "netty-codec", "netty-resolver",
		"netty-transport-native-unix-common", "netty-tcnative", "servlet-api"} {
		path = append(path, jarDir+jar+".jar")
	}
	args = append(args, "-cp", strings.Join(path, ":"), "org.apache.zookeeper.server.quorum.QuorumPeerMain", filepath.Join(s.dir, "zoo.cfg"))
	s.proc, err = spawn("java", args, filepath.Join(s.dir, "log"))
	return err
}

// ready waits until the server says what role it has, which it does only when it serves.
func (s *Server) ready(deadline time.Time) error {
	for mode(s.Addr()) == "" {
		switch {
		case s.proc.exited():
			return fmt.Errorf("zktest: ZooKeeper at %s ended at once; its log ends with:\n%s", s.Addr(), s.proc.logEnd())
		case time.Now().After(deadline):
			return fmt.Errorf("zktest: ZooKeeper at %s does not serve after %v; its log ends with:\n%s", s.Addr(), startLimit, s.proc.logEnd())
		}
		s.proc.pause(10 * time.Millisecond)
	}
	return nil
}

// freePort picks a port below the range that the kernel takes for outgoing connections, so that it is still free when a
// stopped server comes back.
func freePort() (int, error) {
	for range 100 {
		port := 12000 + rand.IntN(20000)
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("zktest: no free port on 127.0.0.1 after 100 tries")
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
