package ferry_test

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
)

// status is a peer that answers each request with a status.
func status(code byte, body string) func(*atomic.Int64, net.Conn) {
	return func(seen *atomic.Int64, c net.Conn) {
		for {
			head, ok := readRequest(c)
			if !ok {
				return
			}
			seen.Add(1)
			if _, err := c.Write(answer(head, code, body)); err != nil {
				return
			}
		}
	}
}

// readRequest reads a request that wants an answer.
func readRequest(c net.Conn) (head [16]byte, ok bool) {
	for {
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return head, false
		}
		if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(head[12:]))); err != nil {
			return head, false
		}
		if head[2]&0x80 != 0 && head[2]&0x20 == 0 {
			return head, true
		}
	}
}

func answer(head [16]byte, code byte, body string) []byte {
	head[2], head[3] = head[2]&0x1f, code
	binary.BigEndian.PutUint32(head[12:], uint32(len(body)))
	return append(head[:], body...)
}

// text is a short string in hessian2.
func text(s string) string { return string(rune(len(s))) + s }

// lastWord is a provider that had closed in good order when the call came.
func lastWord(seen *atomic.Int64, c net.Conn) {
	if _, ok := readRequest(c); ok {
		seen.Add(1)
		_, _ = c.Write([]byte{0xda, 0xbb, 0xa2, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 'R'})
	}
	c.Close()
}

func hangUp(seen *atomic.Int64, c net.Conn) {
	if _, ok := readRequest(c); ok {
		seen.Add(1)
	}
	c.Close()
}

func neverAnswer(seen *atomic.Int64, c net.Conn) {
	for {
		if _, ok := readRequest(c); !ok {
			return
		}
		seen.Add(1)
	}
}

func brokenAnswer(seen *atomic.Int64, c net.Conn) {
	if _, ok := readRequest(c); ok {
		seen.Add(1)
		_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	}
	_, _ = io.Copy(io.Discard, c)
}

// failingProviders are three addresses where calls fail.
func failingProviders(t *testing.T, f failing, b *book) (addresses []string) {
	for range 3 {
		switch {
		case f.refused:
			addresses = append(addresses, closedPort(t))
		case f.peer != nil:
			l := listen(t, func(c net.Conn) { f.peer(&b.ran, c) })
			addresses = append(addresses, l)
		default:
			s := ferry.NewServer("", options(f.server)...)
			require.NoError(t, s.Types().Add("com.example.OutOfStock", &outOfStock{}))
			r := &relay{}
			require.NoError(t, s.ExportValue(ledgerService, ledger{b, r.cut}))
			t.Cleanup(func() { require.NoError(t, s.Close(canceled())) })
			a := s.URLs()[0].Address()
			if f.how == "cut" {
				a = r.listen(t, a)
			}
			addresses = append(addresses, a)
		}
	}
	return addresses
}

// listen serves each connection with run until the test ends.
func listen(t *testing.T, run func(net.Conn)) (address string) {
	address, _ = listenUntil(t, run)
	return address
}

// listenUntil does the same; after stop nobody connects any more, and connections that are there stay.
func listenUntil(t *testing.T, run func(net.Conn)) (address string, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			serving.Go(func() { run(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return l.Addr().String(), func() { l.Close() }
}

// A relay passes bytes between consumers and a provider.
type relay struct {
	mu    sync.Mutex // guards conns
	conns []net.Conn
}

func (r *relay) listen(t *testing.T, provider string) (address string) {
	return listen(t, func(c net.Conn) {
		p, err := net.Dial("tcp", provider)
		if err != nil {
			c.Close()
			return
		}
		r.mu.Lock()
		r.conns = append(r.conns, c, p)
		r.mu.Unlock()
		var both sync.WaitGroup
		both.Go(func() { _, _ = io.Copy(p, c); p.Close() })
		both.Go(func() { _, _ = io.Copy(c, p); c.Close() })
		both.Wait()
	})
}

// count returns how many connections consumers have made and not lost by cut.
func (r *relay) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns) / 2
}

// cut breaks all connections.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}
