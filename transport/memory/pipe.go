package memory

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/ferryrpc/ferry/transport"
)

// A pipe holds at most this many bytes.
const window = 256 << 10

// A pipe carries bytes in one direction, from one writer to one reader.
type pipe struct {
	filled  chan struct{} // holds one token when the reader should look
	emptied chan struct{} // holds one token when the writer should look

	mu        sync.Mutex // guards the following
	buf       *transport.Frame
	finished  bool // nothing more is written
	abandoned bool // nobody reads
}

func newPipe() *pipe {
	return &pipe{filled: make(chan struct{}, 1), emptied: make(chan struct{}, 1)}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put copies as much as there is room for. With a stall it waits for some room, that long.
func (p *pipe) put(bufs [][]byte, stall time.Duration) (int, error) {
	n, err := p.tryPut(bufs)
	if n > 0 || err != nil || stall == 0 {
		return n, err
	}
	timer := time.NewTimer(stall)
	defer timer.Stop()
	for {
		select {
		case <-p.emptied:
		case <-timer.C:
			return 0, os.ErrDeadlineExceeded
		}
		if n, err := p.tryPut(bufs); n > 0 || err != nil {
			return n, err
		}
	}
}

func (p *pipe) tryPut(bufs [][]byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.abandoned || p.finished {
		return 0, fmt.Errorf("transport: the peer has closed: %w", io.EOF)
	}
	for _, b := range bufs {
		p.growLocked(len(b))
		m := min(len(b), window-len(p.buf.B))
		p.buf.B = append(p.buf.B, b[:m]...)
		n += m
		if m < len(b) {
			break
		}
	}
	if n > 0 {
		wake(p.filled)
	}
	return n, nil
}

// growLocked makes room for n more bytes, as far as the window goes.
func (p *pipe) growLocked(n int) {
	if p.buf == nil {
		p.buf = transport.NewFrame(min(n, window))
		return
	}
	if need := min(len(p.buf.B)+n, window); cap(p.buf.B) < need {
		f := transport.NewFrame(need)
		f.B = append(f.B, p.buf.B...)
		p.buf.Free()
		p.buf = f
	}
}

// take waits for bytes and returns all; io.EOF when there will be none.
func (p *pipe) take() (*transport.Frame, error) {
	for {
		p.mu.Lock()
		f := p.buf
		p.buf = nil
		over := p.abandoned || p.finished && f == nil
		p.mu.Unlock()
		switch {
		case over:
			if f != nil {
				f.Free()
			}
			return nil, io.EOF
		case f != nil:
			wake(p.emptied)
			return f, nil
		}
		<-p.filled
	}
}

// finish says that nothing more will be put in. What is in the pipe can still be taken.
func (p *pipe) finish() {
	p.mu.Lock()
	p.finished = true
	p.mu.Unlock()
	wake(p.filled)
	wake(p.emptied)
}

// abandon says that nothing more will be taken.
func (p *pipe) abandon() {
	p.mu.Lock()
	p.abandoned = true
	p.mu.Unlock()
	wake(p.filled)
	wake(p.emptied)
}
