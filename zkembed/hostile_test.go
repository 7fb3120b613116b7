package zkembed_test

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/zkembed"
)

// TestHostileBytes sends damage at the start of a connection and within a session. It ends that connection, and at most
// that; a client beside it goes on.
func TestHostileBytes(t *testing.T) {
	s := start(t, zkembed.Options{})
	bystander := dial(t, s.Addr(), 10*time.Second)
	length := func(n int64, rest ...byte) []byte { return append(body{}.int(int32(n)), rest...) }
	for name, bytes := range map[string][]byte{
		"negative length":  length(-1),
		"smallest length":  length(-1 << 31),
		"huge length":      length(1<<31 - 1),
		"over the limit":   length(1 << 20),
		"unknown command":  []byte("help"),
		"empty packet":     length(0),
		"short packet":     length(3, 1, 2, 3),
		"header alone":     length(8, 0, 0, 0, 1, 0, 0, 0, 3),
		"text of a client": []byte("GET / HTTP/1.1\r\n\r\n"),
	} {
		t.Run("first, "+name, func(t *testing.T) {
			nc, err := net.Dial("tcp", s.Addr())
			require.NoError(t, err)
			defer nc.Close()
			expectClosed(t, nc, bytes)
		})
		if name == "header alone" { // within a session this is a request that cannot be understood
			continue
		}
		t.Run("within a session, "+name, func(t *testing.T) {
			r := dial(t, s.Addr(), 10*time.Second)
			expectClosed(t, r.nc, bytes)
			require.NoError(t, r.connect(), "the session lives on")
		})
	}
	bystander.ping()
}

func expectClosed(t *testing.T, nc net.Conn, bytes []byte) {
	t.Helper()
	_, err := nc.Write(bytes)
	require.NoError(t, err)
	require.NoError(t, nc.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err = io.Copy(io.Discard, nc)
	if timeout, ok := err.(net.Error); ok {
		require.False(t, timeout.Timeout(), "the server has to close the connection")
	}
}

func TestDamagedRequestsAreAnswered(t *testing.T) {
	s := start(t, zkembed.Options{})
	r := dial(t, s.Addr(), 10*time.Second)
	for name, c := range map[string]struct {
		op   int32
		body body
	}{
		"negative string":        {4, body{}.int(-2)},
		"absent path":            {4, body{}.int(-1).flag(false)},
		"string beyond the end":  {4, body{}.int(1 << 30)},
		"million entries":        {1, body{}.text("/x").int(-1).int(1 << 30)},
		"million watches":        {101, body{}.long(0).int(1<<31 - 1)},
		"multi without end":      {14, body{}.int(1).flag(false).int(-1)},
		"multi within multi":     {14, body{}.int(14).flag(false).int(-1)},
		"truncated create":       {1, createBody("/x", "", anyone, 0)[:20]},
		"truncated set of watch": {101, body{}.long(0).int(3).text("/a")},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, err := r.call(c.op, c.body, 0)
			require.NoError(t, err)
			require.EqualValues(t, zkembed.MarshallingError, p.err)
		})
	}
}

func TestPacketLimit(t *testing.T) {
	s := start(t, zkembed.Options{})
	r := dial(t, s.Addr(), 10*time.Second)
	most := 1<<20 - 1 - len(append(body{}.int(1).int(1), createBody("/n", "", anyone, 0)...))
	r.must(1, createBody("/n", strings.Repeat("x", most), anyone, 0))
	reply, _ := r.must(4, body{}.text("/n").flag(false))
	require.Len(t, reply.text(), most)
	_, _, err := r.call(5, body{}.text("/n").text(strings.Repeat("x", 1<<20)).int(-1), 0)
	require.Error(t, err)
	s.SetMaxPacket(100)
	require.NoError(t, r.connect())
	_, _, err = r.call(5, body{}.text("/n").text(strings.Repeat("x", 100)).int(-1), 0)
	require.Error(t, err)
}

func TestConnectionLimit(t *testing.T) {
	s := start(t, zkembed.Options{MaxConns: 2})
	a := dial(t, s.Addr(), 10*time.Second)
	dial(t, s.Addr(), 10*time.Second)
	_, err := dialRaw(s.Addr(), time.Second)
	require.Error(t, err)
	a.must(-11, nil)
	require.Eventually(t, func() bool { // the place is free when the goroutines of the other have ended
		r, err := dialRaw(s.Addr(), time.Second)
		if err == nil {
			r.close()
		}
		return err == nil
	}, 5*time.Second, 5*time.Millisecond)
}

// TestClientThatDoesNotRead asks for more than fits into the socket and never reads it. It must neither block others nor
// pile up memory without end.
func TestClientThatDoesNotRead(t *testing.T) {
	s := start(t, zkembed.Options{MaxQueue: 1 << 20})
	r, other := dial(t, s.Addr(), time.Minute), dial(t, s.Addr(), time.Minute)
	other.must(1, createBody("/n", strings.Repeat("x", 500<<10), anyone, 0))
	request := append(body{}.int(0), append(body{}.int(1).int(4), body{}.text("/n").flag(false)...)...)
	binary.BigEndian.PutUint32(request, uint32(len(request)-4))
	stuck := make(chan error, 1)
	go func() {
		for {
			if _, err := r.nc.Write(request); err != nil {
				stuck <- err
				return
			}
		}
	}()
	// The server stops reading when its answers pile up, and events still come on top.
	r2 := dial(t, s.Addr(), time.Minute)
	for range 50 {
		r2.must(3, body{}.text("/").flag(false))
	}
	require.NoError(t, r.nc.Close())
	require.Error(t, <-stuck)
	other.ping()
}

// TestEventsForClientThatDoesNotRead lets events pile up, which no back-pressure can stop: the client is cut off.
func TestEventsForClientThatDoesNotRead(t *testing.T) {
	s := start(t, zkembed.Options{MaxQueue: 64 << 10})
	r, other := dial(t, s.Addr(), time.Minute), dial(t, s.Addr(), time.Minute)
	long := "/" + strings.Repeat("n", 8<<10)
	other.must(1, createBody(long, "", anyone, 0))
	r.must(106, body{}.text(long).int(0))
	s.Hold(zkembed.Outbound)
	for range 10 {
		require.NoError(t, other.write(append(body{}.int(1).int(5), body{}.text(long).text("x").int(-1)...)))
	}
	require.Eventually(t, func() bool { return s.Sessions()[0].Client == "" }, 5*time.Second, time.Millisecond)
	s.Release()
	for range 10 {
		_, err := other.next()
		require.NoError(t, err)
	}
	require.NoError(t, r.connect(), "the session lives on")
}
