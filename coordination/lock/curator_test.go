package lock

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zktest"
)

// These tests hold our locks against Apache Curator itself, Debian's libcurator-recipes-java, in a process of its own, or the
// version on the class path that FERRY_CURATOR names.

// curatorPath is the class path of Curator.
func curatorPath(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("FERRY_CURATOR"); path != "" {
		return path
	}
	recipes, err := filepath.Glob("/usr/share/java/curator-recipes-*.jar")
	require.NoError(t, err)
	require.Len(t, recipes, 1, "Apache Curator is not installed, run `make deps` (apt-get install libcurator-recipes-java)")
	all := recipes
	for _, jar := range []string{"curator-framework", "curator-client", "guava", "jackson-databind", "jackson-core", "jackson-annotations", "slf4j-api",
		"slf4j-nop", "zookeeper", "zookeeper-jute", "netty-codec", "netty-resolver", "netty-transport-native-unix-common", "netty-tcnative"} {
		all = append(all, "/usr/share/java/"+jar+".jar")
	}
	return strings.Join(all, ":")
}

// compilePeer returns the class path of the Java program.
func compilePeer(t *testing.T) string {
	t.Helper()
	path, dir := curatorPath(t), t.TempDir()
	said, err := exec.CommandContext(t.Context(), "javac", "-proc:none", "-d", dir, "-cp", path, filepath.Join("testdata", "Peer.java")).CombinedOutput()
	require.NoError(t, err, "%s", said)
	return dir + ":" + path
}

// A curator is a Java process with one session. Its owners are threads, as Curator's locks belong to threads.
type curator struct {
	cmd *exec.Cmd
	in  io.WriteCloser

	mu      sync.Mutex // guards the following
	answers map[string]chan string
}

func startCurator(t *testing.T, classes, addr string, session time.Duration) *curator {
	t.Helper()
	j := &curator{answers: map[string]chan string{}, cmd: exec.Command("java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-cp", classes, "Peer", addr, strconv.FormatInt(session.Milliseconds(), 10))}
	j.cmd.Stderr = os.Stderr
	var err error
	j.in, err = j.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := j.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, j.cmd.Start())
	over := make(chan struct{})
	go func() {
		defer close(over)
		for s := bufio.NewScanner(out); s.Scan(); {
			owner, answer, _ := strings.Cut(s.Text(), " ")
			j.of(owner) <- answer
		}
	}()
	t.Cleanup(func() {
		_ = j.in.Close() // its end, unless it was killed
		<-over
		_ = j.cmd.Wait() // how it ended was the test's wish
	})
	j.says(t, "peer", "ready")
	return j
}

func (j *curator) of(owner string) chan string {
	j.mu.Lock()
	defer j.mu.Unlock()
	ch := j.answers[owner]
	if ch == nil {
		ch = make(chan string, 16)
		j.answers[owner] = ch
	}
	return ch
}

// tell gives an owner something to do.
func (j *curator) tell(t *testing.T, owner, format string, args ...any) {
	t.Helper()
	_, err := fmt.Fprintf(j.in, "%s %s\n", owner, fmt.Sprintf(format, args...))
	require.NoError(t, err)
}

// says waits for an owner's answer.
func (j *curator) says(t *testing.T, owner, answer string) {
	t.Helper()
	select {
	case got := <-j.of(owner):
		require.Equal(t, answer, got)
	case <-time.After(30 * time.Second):
		require.Fail(t, "no answer", "%s was to say %q", owner, answer)
	}
}

// silent makes sure that an owner has said nothing yet.
func (j *curator) silent(t *testing.T, owner string) {
	t.Helper()
	select {
	case said := <-j.of(owner):
		require.Fail(t, "too early", "%s said %q", owner, said)
	default:
	}
}

// do tells and waits.
func (j *curator) do(t *testing.T, owner, answer, format string, args ...any) {
	t.Helper()
	j.tell(t, owner, format, args...)
	j.says(t, owner, answer)
}

func TestCurator(t *testing.T) {
	classes := compilePeer(t)
	real.Both(t, func(t *testing.T, z zktest.Target) {
		j := startCurator(t, classes, z.Addr(), 10*time.Second)
		c := open(t, z.Addr(), 10*time.Second)
		t.Run("mutex", func(t *testing.T) { curatorMutex(t, c, j) })
		t.Run("read and write", func(t *testing.T) { curatorReadWrite(t, c, j) })
		t.Run("downgrade", func(t *testing.T) { curatorDowngrade(t, c, j) })
		t.Run("semaphore", func(t *testing.T) { curatorSemaphore(t, c, j) })
		t.Run("revocation", func(t *testing.T) { curatorRevokes(t, c, j) })
		t.Run("leader", func(t *testing.T) { curatorLeader(t, c, j) })
		t.Run("count", func(t *testing.T) { curatorCount(t, c, open(t, z.Addr(), 10*time.Second), j) })
		t.Run("killed", func(t *testing.T) {
			doomed := startCurator(t, classes, z.Addr(), time.Second)
			path := newPath()
			doomed.do(t, "thread", "acquired", "acquire mutex %s 10000", path)
			waiting := locking(t.Context(), mutex(t, c, path).Lock)
			line(t, c, path, 2)
			require.NoError(t, doomed.cmd.Process.Kill())
			unlock(t, got(t, waiting))
		})
	})
}

// curatorMutex lets Go and Java stand in one line by turns: they get the lock in the order in which they came.
func curatorMutex(t *testing.T, c *Client, j *curator) {
	path := newPath()
	first := locked(t, mutex(t, c, path))
	_, err := mutex(t, c, path).TryLock(t.Context())
	require.ErrorIs(t, err, ErrHeld)
	j.do(t, "one", "timeout", "acquire mutex %s 50", path)
	j.tell(t, "one", "acquire mutex %s 30000", path)
	line(t, c, path, 2)
	third := locking(t.Context(), mutex(t, c, path).Lock)
	line(t, c, path, 3)
	j.tell(t, "two", "acquire mutex %s 30000", path)
	line(t, c, path, 4)
	unlock(t, first)
	j.says(t, "one", "acquired")
	j.do(t, "one", "acquired", "acquire mutex %s 30000", path) // once more: Curator's re-entry by thread has the same node
	line(t, c, path, 3)
	require.Empty(t, third)
	j.do(t, "one", "released", "release mutex %s", path)
	require.Empty(t, third)
	j.do(t, "one", "released", "release mutex %s", path)
	lease := got(t, third)
	require.Greater(t, lease.Fence().Token, first.Fence().Token)
	j.silent(t, "two")
	unlock(t, lease)
	j.says(t, "two", "acquired")
	j.do(t, "two", "released", "release mutex %s", path)
	line(t, c, path, 0)
}

func curatorReadWrite(t *testing.T, c *Client, j *curator) {
	path := newPath()
	m := rwmutex(t, c, path)
	read := locked(t, m.Reader())
	j.do(t, "reader", "acquired", "acquire read %s 10000", path) // together
	write := locking(t.Context(), m.Lock)
	line(t, c, path, 3)
	j.do(t, "late", "timeout", "acquire read %s 50", path) // behind a writer
	unlock(t, read)
	require.Empty(t, write)
	j.do(t, "reader", "released", "release read %s", path)
	lease := got(t, write)
	j.tell(t, "writer", "acquire write %s 30000", path)
	line(t, c, path, 2)
	_, err := m.TryRLock(t.Context())
	require.ErrorIs(t, err, ErrHeld)
	readers := []<-chan try{locking(t.Context(), m.RLock)} // of one process one contends
	line(t, c, path, 3)
	unlock(t, lease)
	j.says(t, "writer", "acquired")
	require.Empty(t, readers[0])
	j.do(t, "writer", "released", "release write %s", path)
	unlock(t, got(t, readers[0]))
	line(t, c, path, 0)
}

func curatorVersion(t *testing.T) string {
	t.Helper()
	path := curatorPath(t)
	version := regexp.MustCompile(`curator-recipes-(\d+\.\d+)`).FindStringSubmatch(path)
	require.NotNil(t, version, path)
	return version[1]
}

// curatorDowngrade lets a writer wait for each side's downgrade to end.
func curatorDowngrade(t *testing.T, c *Client, j *curator) {
	path := newPath()
	m := rwmutex(t, c, path)
	ctx := WithOwner(within(t, time.Minute), "me")
	write, err := m.Lock(ctx)
	require.NoError(t, err)
	j.tell(t, "writer", "acquire write %s 30000", path)
	line(t, c, path, 2)
	read, err := m.RLock(ctx)
	require.NoError(t, err)
	unlock(t, write)
	line(t, c, path, 2)
	j.do(t, "other", "timeout", "acquire write %s 50", path)
	j.silent(t, "writer")
	unlock(t, read)
	j.says(t, "writer", "acquired")

	next := locking(t.Context(), m.Lock)
	if version := curatorVersion(t); version == "5.4" { // its own waiting writers get in between, too (CURATOR-621)
		j.do(t, "writer", "released", "release write %s", path)
		unlock(t, got(t, next))
		return
	}
	line(t, c, path, 2)
	j.do(t, "writer", "acquired", "acquire read %s 10000", path)
	j.do(t, "writer", "released", "release write %s", path)
	line(t, c, path, 2)
	_, err = m.TryLock(t.Context())
	require.ErrorIs(t, err, ErrHeld)
	require.Empty(t, next)
	j.do(t, "writer", "released", "release read %s", path)
	unlock(t, got(t, next))
	line(t, c, path, 0)
}

func curatorSemaphore(t *testing.T, c *Client, j *curator) {
	path := newPath()
	s := semaphore(t, c, path, 2)
	first, err := s.Acquire(within(t, 10*time.Second))
	require.NoError(t, err)
	j.do(t, "one", "acquired", "acquire semaphore %s 10000", path)
	j.do(t, "two", "timeout", "acquire semaphore %s 50", path)
	_, err = s.TryAcquire(t.Context())
	require.ErrorIs(t, err, ErrHeld)
	held, err := s.Holders(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, held)
	waiting := locking(t.Context(), s.Acquire)
	line(t, c, path+"/locks", 1)
	j.tell(t, "two", "acquire semaphore %s 30000", path)
	line(t, c, path+"/locks", 2)
	j.do(t, "one", "released", "release semaphore %s", path)
	second := got(t, waiting)
	j.silent(t, "two")
	unlock(t, first)
	j.says(t, "two", "acquired")
	unlock(t, second)
	j.do(t, "two", "released", "release semaphore %s", path)
	line(t, c, path+"/leases", 0)
}

// curatorRevokes lets each side ask the other for its lock.
func curatorRevokes(t *testing.T, c *Client, j *curator) {
	path := newPath()
	ours := locked(t, mutex(t, c, path))
	j.do(t, "asker", "revoked", "revoke node %s", ours.Path())
	<-ours.Revoked()
	unlock(t, ours)
	j.do(t, "one", "acquired", "acquire mutex %s 10000", path)
	people, err := mutex(t, c, path).Participants(t.Context())
	require.NoError(t, err)
	require.NoError(t, c.Revoke(t.Context(), people[0].Path))
	j.says(t, "one", "asked")
	j.do(t, "one", "released", "release mutex %s", path)
}

// curatorLeader lets Curator's LeaderSelector stand in the line that package leader stands in.
func curatorLeader(t *testing.T, c *Client, j *curator) {
	path := newPath()
	ours := locked(t, mutex(t, c, path))
	j.do(t, "candidate", "waits", "lead selector %s", path)
	line(t, c, path, 2)
	j.silent(t, "candidate")
	next := locking(t.Context(), mutex(t, c, path).Lock)
	line(t, c, path, 3)
	unlock(t, ours)
	j.says(t, "candidate", "leads")
	require.Empty(t, next)
	people, err := mutex(t, c, path).Participants(t.Context())
	require.NoError(t, err)
	require.Equal(t, "candidate", string(people[0].Data))
	j.do(t, "candidate", "stepped", "step selector %s", path)
	unlock(t, got(t, next))
}

// curatorCount lets both sides add to a number in a file that nothing but the lock protects.
func curatorCount(t *testing.T, one, two *Client, j *curator) {
	const times = 40
	file := filepath.Join(t.TempDir(), "number")
	for _, kind := range []string{"mutex", "write"} {
		path := newPath()
		require.NoError(t, os.WriteFile(file, []byte("0"), 0o600))
		for i := range 2 {
			j.tell(t, fmt.Sprint("counter", i), "count %s %s %s %d", kind, path, file, times)
		}
		var wg sync.WaitGroup
		for _, c := range []*Client{one, two} {
			l := map[string]Locker{"mutex": mutex(t, c, path), "write": rwmutex(t, c, path)}[kind]
			wg.Go(func() {
				for range times {
					if err := addOne(t.Context(), l, file); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		for i := range 2 {
			j.says(t, fmt.Sprint("counter", i), "counted")
		}
		number, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(4*times), string(number), "%s: some were lost", kind)
		line(t, one, path, 0)
	}
}

func addOne(ctx context.Context, l Locker, file string) error {
	lease, err := l.Lock(ctx)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(b))
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, strconv.AppendInt(nil, int64(n+1), 10), 0o600); err != nil {
		return err
	}
	return lease.Unlock(ctx)
}

// The number in the file sees it when nothing protects it.
func TestCountingNeedsTheLock(t *testing.T) {
	t.Parallel()
	z := embedded(t)
	file := filepath.Join(t.TempDir(), "number")
	require.NoError(t, os.WriteFile(file, []byte("0"), 0o600))
	both := make(chan struct{})
	var read sync.WaitGroup
	read.Add(2)
	var wg sync.WaitGroup
	for i := range 2 {
		l := mutex(t, open(t, z.Addr(), 10*time.Second), newPath()) // each has a lock of his own
		wg.Go(func() {
			lease, err := l.Lock(t.Context())
			if err == nil {
				b, _ := os.ReadFile(file)
				n, _ := strconv.Atoi(string(b))
				read.Done()
				<-both
				err = os.WriteFile(file, strconv.AppendInt(nil, int64(n+1), 10), 0o600)
				_ = lease.Unlock(t.Context())
			}
			if err != nil {
				t.Error(i, err)
			}
		})
	}
	read.Wait()
	close(both)
	wg.Wait()
	number, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "1", string(number))
}
