package lock

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/zktest"
)

func TestCurator(t *testing.T) {
	t.Parallel()
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
