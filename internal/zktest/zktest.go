// Package zktest runs Debian's real ZooKeeper for tests, beside the embedded one of package zkembed.
//
// A Server is one Java process: its files lie in a folder of the test, its ports are free ones on 127.0.0.1, and it ends
// with the test that started it (or with the test binary, whichever dies first). Between start and end a test may Stop,
// Start, Kill and Freeze it. An Ensemble is three of them. A Shared keeps one server for all tests of a package, because
// a start costs about half a second.
//
// Both runs one test as two subtests, "embedded" and "real". Whatever is promised about ZooKeeper should be held by such
// a test: the embedded server is quick and exact, and the real one is what users have.
//
// A machine without Java or without ZooKeeper fails these tests with a line that says how to install both.
package zktest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	jarDir     = "/usr/share/java/"
	startLimit = 30 * time.Second // a cold JVM on a busy machine; a warm start takes half a second
	stopLimit  = 5 * time.Second
	reap       = 250 * time.Millisecond // how often a server looks for containers and TTL nodes to remove
)

// Options says how a Server is configured. The zero value is a fast server for tests.
type Options struct {
	Tick       time.Duration // tickTime: sessions expire on multiples of it; 200 ms
	MinSession time.Duration // smallest session timeout that a client gets; two ticks
	MaxSession time.Duration // largest session timeout that a client gets; 60 s
	Sync       bool          // write through to the disk before answering, as in production; slower
	Config     []string      // further lines of zoo.cfg, such as "maxClientCnxns=5"
	Properties []string      // further Java system properties, such as "jute.maxbuffer=4096"
}

func (o Options) withDefaults() Options {
	if o.Tick == 0 {
		o.Tick = 200 * time.Millisecond
	}
	if o.MinSession == 0 {
		o.MinSession = 2 * o.Tick
	}
	if o.MaxSession == 0 {
		o.MaxSession = time.Minute
	}
	return o
}

// Start runs a server until the test ends. It returns when the server serves requests, and fails the test when it does
// not within 30 s.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := launch(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.end(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// launch makes and starts a stand-alone server below dir. Another process may take the port between its choice and its
// use, so a server that dies at once is tried again with another port.
func launch(dir string, o Options) (*Server, error) {
	if err := installed(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	var err error
	for try := range 3 {
		s := &Server{o: o, dir: fmt.Sprintf("%s/try%d", dir, try), id: 1}
		if s.port, err = freePort(); err != nil {
			return nil, err
		}
		if err = s.prepare(nil); err != nil {
			return nil, err
		}
		if err = s.run(); err != nil {
			return nil, err
		}
		if err = s.ready(time.Now().Add(startLimit)); err == nil {
			return s, nil
		}
		died := s.proc.exited()
		err = errors.Join(err, s.end())
		if !died {
			break
		}
	}
	return nil, err
}

// installed says what is missing on this machine, in one line.
func installed() error {
	_, err := exec.LookPath("java")
	if err == nil {
		_, err = os.Stat(jarDir + "zookeeper.jar")
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("zktest: ZooKeeper is not installed, run `make deps` (apt-get install zookeeper): %w", err)
	}
	return err
}

// FourLetter sends a four-letter command such as "srvr" to the server at addr and returns its whole answer.
func FourLetter(addr, word string) (string, error) {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", fmt.Errorf("zktest: %s: %w", word, err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", fmt.Errorf("zktest: %s: %w", word, err)
	}
	if _, err := io.WriteString(c, word); err != nil {
		return "", fmt.Errorf("zktest: %s: %w", word, err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		return "", fmt.Errorf("zktest: %s: %w", word, err)
	}
	return string(b), nil
}

// mode is the server's role by its own account ("standalone", "leader", "follower"), "" when it does not serve.
func mode(addr string) string {
	answer, err := FourLetter(addr, "srvr")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(answer) {
		if m, ok := strings.CutPrefix(line, "Mode: "); ok {
			return strings.TrimSpace(m)
		}
	}
	return ""
}
