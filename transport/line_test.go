package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// socket is a Sink that takes as many bytes as it is allowed to.
type socket struct {
	mu     sync.Mutex
	more   *sync.Cond
	got    []byte
	allow  int // bytes that it takes before it is full
	err    error
	writes int
	slice  int // most bytes of one write, 0 is any
	rests  int
	before func() // called at each write that does not wait
}

func newSocket(allow int) *socket {
	s := &socket{allow: allow}
	s.more = sync.NewCond(&s.mu)
	return s
}

func (s *socket) Write(bufs [][]byte, stall time.Duration) (n int, err error) {
	if s.before != nil && stall == 0 {
		s.before()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for stall > 0 && s.allow == 0 && s.err == nil {
		s.more.Wait()
	}
	if s.err != nil {
		return 0, s.err
	}
	s.writes++
	for _, b := range bufs {
		m := min(len(b), s.allow)
		if s.slice > 0 {
			m = min(m, s.slice-n)
		}
		s.got = append(s.got, b[:m]...)
		s.allow -= m
		n += m
	}
	s.more.Broadcast()
	return n, nil
}

func (s *socket) Rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rests++
}

func (s *socket) take(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allow += n
	s.more.Broadcast()
}

func (s *socket) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	s.more.Broadcast()
}

// wait returns what was written when that is n bytes.
func (s *socket) wait(n int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.got) < n {
		s.more.Wait()
	}
	return bytes.Clone(s.got)
}

func newLine(s Sink, p Params, waits bool) (*Line, chan error) {
	l, ended := &Line{}, make(chan error, 2)
	if err := p.Check(); err != nil {
		panic(err)
	}
	l.Start(s, p, waits, func(err error) { ended <- err })
	return l, ended
}

func frame(b []byte) *Frame {
	f := NewFrame(len(b))
	f.B = append(f.B, b...)
	return f
}

const plenty = 1 << 30

func TestLineKeepsOrderWhateverTheSocketTakes(t *testing.T) {
	sizes := []int{1, 10, 500, 600, 3000, 4096, 4097, 20, 70000, 5, 4096, 100000, 3}
	for _, slice := range []int{0, 1, 7, 1000, 4096, 65537} {
		for _, waits := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d bytes a write, waits %v", slice, waits), func(t *testing.T) {
				s := newSocket(plenty)
				s.slice = slice
				l, _ := newLine(s, Params{}, waits)
				var want []byte
				for i, n := range sizes {
					b := bytes.Repeat([]byte{byte('a' + i)}, n)
					want = append(want, b...)
					require.NoError(t, l.Send(frame(b), 1+i%2))
				}
				require.NoError(t, l.Flush(context.Background()))
				require.True(t, bytes.Equal(want, s.wait(len(want))))
				bytes, _ := l.Counts()
				require.EqualValues(t, len(want), bytes)
				l.End(ErrClosed)
				l.Quiet()
			})
		}
	}
}

func TestLineGathersWhatComesDuringAWrite(t *testing.T) {
	s := newSocket(plenty)
	l, _ := newLine(s, Params{}, false)
	once := true
	s.before = func() {
		if once {
			once = false
			for range 100 {
				require.NoError(t, l.Send(frame([]byte("0123456789")), 1))
			}
		}
	}
	require.NoError(t, l.Send(frame([]byte("0123456789")), 1))
	require.Len(t, s.wait(1010), 1010)
	require.Equal(t, 2, s.writes)
}

func TestLineHandsOverToTheFlusher(t *testing.T) {
	s := newSocket(plenty)
	l, _ := newLine(s, Params{}, false)
	more := 50
	s.before = func() {
		if more > 0 {
			more--
			require.NoError(t, l.Send(frame([]byte("x")), 1))
		}
	}
	require.NoError(t, l.Send(frame([]byte("x")), 1))
	require.Equal(t, 50-rounds, more, "a sender writes for others a few times only")
	require.Len(t, s.wait(rounds+1), rounds+1)
	l.End(ErrClosed)
	l.Quiet()
	require.Equal(t, 1, s.rests)
}

func TestLineDoesNotWaitForThePeer(t *testing.T) {
	s := newSocket(0)
	l, _ := newLine(s, Params{Queue: 100}, false)
	require.Nil(t, l.Wait())
	for range 10 {
		require.NoError(t, l.Send(frame(make([]byte, 10)), 1))
	}
	refused := frame([]byte("x"))
	require.ErrorIs(t, l.Send(refused, 1), ErrFull)
	require.Equal(t, "x", string(refused.B), "a refused frame stays the caller's")
	room := l.Wait()
	s.take(49)
	s.wait(49)
	require.ErrorIs(t, l.Send(frame(make([]byte, 100)), 1), ErrFull)
	s.take(1)
	<-room
	require.Nil(t, l.Wait())
	require.NoError(t, l.Send(frame(make([]byte, 1000)), 1), "a half empty queue takes a frame of any size")
	require.ErrorIs(t, l.Send(frame([]byte("x")), 1), ErrFull)
	s.take(plenty)
	require.NoError(t, l.Flush(context.Background()))
	require.Len(t, s.wait(1100), 1100)
}

func TestLineFlushWaitsForWhatWasQueuedBefore(t *testing.T) {
	s := newSocket(0)
	l, _ := newLine(s, Params{}, false)
	require.NoError(t, l.Send(frame(make([]byte, 10)), 1))
	flushed := make(chan error)
	go func() { flushed <- l.Flush(context.Background()) }()
	for l.flushing() == 0 {
		syscall.Getpid()
	}
	require.NoError(t, l.Send(frame(make([]byte, 10)), 1))
	s.take(10)
	require.NoError(t, <-flushed, "the second frame is still queued")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, l.Flush(ctx), context.Canceled)
	go func() { flushed <- l.Flush(context.Background()) }()
	for l.flushing() < 2 {
		syscall.Getpid()
	}
	l.End(io.EOF)
	require.ErrorIs(t, <-flushed, io.EOF)
	s.fail(os.ErrClosed)
	l.Quiet()
}

func (l *Line) flushing() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.flushes)
}

func TestLineEnds(t *testing.T) {
	broken := errors.New("broken")
	for _, test := range []struct {
		err, want error
		told      bool
	}{
		{broken, broken, true},
		{fmt.Errorf("write: %w", syscall.EPIPE), io.EOF, true},
		{syscall.ECONNRESET, io.EOF, true},
		{os.ErrDeadlineExceeded, ErrStalled, true},
	} {
		for _, waits := range []bool{false, true} {
			s := newSocket(5)
			l, ended := newLine(s, Params{}, waits)
			require.NoError(t, l.Send(frame(make([]byte, 10)), 1))
			room := make(chan (<-chan struct{}), 1)
			room <- l.Wait()
			s.wait(5)
			s.fail(test.err)
			require.ErrorIs(t, <-ended, test.want)
			require.ErrorIs(t, l.Send(frame([]byte("x")), 2), test.want)
			require.ErrorIs(t, l.Err(), test.want)
			require.False(t, l.End(io.ErrNoProgress), "it has ended before")
			l.Quiet()
			require.Empty(t, ended, "the end is told once")
			require.Empty(t, l.out)
			require.Empty(t, l.queue)
		}
	}
}

func TestLineEndWakesThoseWhoWait(t *testing.T) {
	s := newSocket(0)
	l, ended := newLine(s, Params{Queue: 10}, false)
	require.NoError(t, l.Send(frame(make([]byte, 10)), 1))
	room := l.Wait()
	require.True(t, l.End(ErrClosed))
	<-room
	require.Nil(t, l.Wait())
	require.ErrorIs(t, l.Flush(context.Background()), ErrClosed)
	s.fail(os.ErrClosed)
	l.Quiet()
	require.Empty(t, ended, "the owner knows")
	require.Empty(t, l.out)
}

func TestLineIgnoresEmptyFrames(t *testing.T) {
	s := newSocket(plenty)
	l, _ := newLine(s, Params{}, false)
	require.NoError(t, l.Send(frame(nil), 1))
	require.Zero(t, s.writes)
}

func TestLineSendsWithoutAllocating(t *testing.T) {
	if raceEnabled {
		return // pools drop items at random then
	}
	s := &discard{}
	l, _ := newLine(s, Params{}, false)
	for _, size := range []int{100, 4000, 60000} {
		b := make([]byte, size)
		send := func() {
			f := NewFrame(size)
			f.B = append(f.B, b...)
			_ = l.Send(f, 1)
		}
		send()
		require.Zero(t, testing.AllocsPerRun(100, send), "frames of %d bytes", size)
	}
}

type discard struct{}

func (*discard) Write(bufs [][]byte, _ time.Duration) (n int, err error) {
	for _, b := range bufs {
		n += len(b)
	}
	return n, nil
}
func (*discard) Rest() {}

// TestEnoughFramesAreNotKeptWaiting: while the writer lets others go first, the one who adds enough writes for all.
func TestEnoughFramesAreNotKeptWaiting(t *testing.T) {
	for calls, want := range map[int]int{2: enough, 64: enough, 400: 400 / enoughShare} {
		s := newSocket(plenty)
		l, _ := newLine(s, Params{Queue: plenty}, false)
		l.mu.Lock()
		l.pushLocked(frame([]byte("x")))
		l.size, l.total = 1, 1
		require.Equal(t, yields, l.turnLocked(calls))
		l.mu.Unlock()
		for range want - 2 {
			require.NoError(t, l.Send(frame([]byte("x")), calls))
		}
		require.Zero(t, s.writes)
		require.NoError(t, l.Send(frame([]byte("x")), calls))
		require.Equal(t, 1, s.writes)
		require.Len(t, s.got, want)
		require.False(t, l.resume(), "who let others go first has nothing to write")
		require.NoError(t, l.Send(frame([]byte("y")), calls))
		require.Equal(t, 2, s.writes, "the line is idle again")
	}
}
