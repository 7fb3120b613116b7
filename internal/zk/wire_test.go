package zk

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

func splitAddresses(s string) []string { return strings.Split(s, ",") }

func reply(xid int32, zxid int64, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(replyHead+len(body)))
	b = binary.BigEndian.AppendUint32(b, uint32(xid))
	b = binary.BigEndian.AppendUint64(b, uint64(zxid))
	b = binary.BigEndian.AppendUint32(b, 0)
	return append(b, body...)
}

func TestFramesAreReadInAnyPieces(t *testing.T) {
	big := strings.Repeat("x", 100_000)
	frames := [][]byte{reply(1, 10, ""), reply(2, 11, "body"), reply(3, 12, big), reply(xidPing, 13, "x")}
	r := iotest.HalfReader(bytes.NewReader(bytes.Join(frames, nil)))
	var buf []byte
	for _, want := range frames {
		var err error
		buf, err = readFrame(r, buf)
		require.NoError(t, err)
		require.Equal(t, want, buf)
	}
	_, err := readFrame(r, buf)
	require.Equal(t, io.EOF, err)
	_, err = readFrame(bytes.NewReader(frames[1][:10]), nil)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestLengthsAreCheckedBeforeMemoryIsTaken(t *testing.T) {
	for _, length := range []uint32{0, 15, mostFrame + 1, 1 << 31, 0xffffffff} {
		_, err := readFrame(bytes.NewReader(binary.BigEndian.AppendUint32(nil, length)), nil)
		require.ErrorIs(t, err, errFrame, "%d", length)
	}
	buf, err := readFrame(bytes.NewReader(binary.BigEndian.AppendUint32(nil, maxFrame)), nil)
	require.Error(t, err)
	require.Less(t, cap(buf), 4096, "the buffer grows with what arrives")
}

func TestReplyThatIsTooLargeIsReadPast(t *testing.T) {
	large := append(reply(7, 10, ""), make([]byte, maxFrame)...)
	binary.BigEndian.PutUint32(large, replyHead+maxFrame)
	r := bytes.NewReader(append(append(large, reply(8, 11, "next")...), large[:1000]...))
	buf, err := readFrame(r, nil)
	require.NoError(t, err)
	require.Equal(t, reply(7, 10, "")[:16], buf[:16])
	require.Equal(t, int32(codeTooLarge), int32(binary.BigEndian.Uint32(buf[16:])))
	require.Less(t, cap(buf), 4096, "it takes no memory")
	buf, err = readFrame(r, buf)
	require.NoError(t, err)
	require.Equal(t, reply(8, 11, "next"), buf)
	_, err = readFrame(r, buf)
	require.Equal(t, io.EOF, err)
	binary.BigEndian.PutUint32(large[4:], 0xffffffff) // an event is never that long
	_, err = readFrame(bytes.NewReader(large), nil)
	require.ErrorIs(t, err, errFrame)
}

func TestReadable(t *testing.T) {
	stat := strings.Repeat("s", statSize)
	part := func(op int32, done string) string {
		return string(binary.BigEndian.AppendUint32(nil, uint32(op))) + done + "\x00\x00\x00\x00"
	}
	text := "\x00\x00\x00\x02/a"
	for _, test := range []struct {
		op   int32
		body string
	}{
		{opEvent, "typestat" + text}, {opCreate, text}, {opSync, text}, {opExists, stat}, {opSetData, stat},
		{opGetData, text + stat}, {opGetData, "\xff\xff\xff\xff" + stat},
		{opGetChildren, "\x00\x00\x00\x02" + text + text + stat}, {opGetChildren, "\x00\x00\x00\x00" + stat},
		{opMulti, part(opCreate, "\x00") + text + part(opSetData, "\x00") + stat + part(opDelete, "\x00") +
			part(opFailed, "\x00") + "\xff\xff\xff\xff" + part(-1, "\x01")},
	} {
		require.True(t, readable(test.op, []byte(test.body)), "%d %q", test.op, test.body)
		for n := range test.body {
			require.False(t, readable(test.op, []byte(test.body[:n])), "%d %q", test.op, test.body[:n])
		}
	}
	require.False(t, readable(opGetChildren, []byte("\xff\xff\xff\xff"+stat)))
	require.False(t, readable(opMulti, []byte(part(99, "\x00")+part(-1, "\x01"))))
	require.True(t, readable(opDelete, nil))
}

// A server that answers with garbage costs the connection, not the process.
func TestGarbageInAnAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for garbage := 0; ; garbage = (garbage + 1) % 40 {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { answerWith(conn, strings.Repeat("\xff", garbage)) })
		}
	})
	c := open(t, Config{Addresses: []string{l.Addr().String()}, SessionTimeout: 300 * time.Millisecond})
	ctx := within(t, 300*time.Millisecond)
	for ctx.Err() == nil {
		_, _, err := c.Exists(within(t, 20*time.Millisecond), "/a", nil)
		require.Error(t, err)
		_, err = c.Create(within(t, 20*time.Millisecond), Node{Path: "/a"})
		require.Error(t, err)
		_, err = c.Multi(within(t, 20*time.Millisecond), DeleteOp("/a", AnyVersion))
		require.Error(t, err)
	}
}

func answerWith(conn net.Conn, body string) {
	defer conn.Close()
	hello := make([]byte, 48)
	if _, err := io.ReadFull(conn, hello); err != nil {
		return
	}
	if _, err := conn.Write(appendGreeting(nil, greeting{timeout: 300 * time.Millisecond, session: 7, password: make([]byte, 16)})); err != nil {
		return
	}
	for {
		frame, err := readFrame(conn, nil) // of a request; long enough here
		if err != nil {
			return
		}
		if _, err := conn.Write(reply(int32(binary.BigEndian.Uint32(frame[4:])), 1, body)); err != nil {
			return
		}
	}
}

func TestGreetingRoundTrip(t *testing.T) {
	g := greeting{timeout: 4 * time.Second, session: -7, password: []byte("0123456789abcdef")}
	got, err := readGreeting(bytes.NewReader(appendGreeting(nil, g)))
	require.NoError(t, err)
	require.Equal(t, g, got)
	hello := appendHello(nil, 99, g)
	require.Len(t, hello, 4+44)
	require.EqualValues(t, 99, binary.BigEndian.Uint64(hello[8:]))
	_, err = readGreeting(bytes.NewReader(nil))
	require.Equal(t, io.EOF, err)
	for _, bad := range []string{"\x00\x00\x10\x00", "\x00\x00\x00\x04abcd", "\x00\x00\x00\x14abc"} {
		_, err = readGreeting(strings.NewReader(bad))
		require.ErrorIs(t, err, errGreeting)
	}
}

func FuzzGreeting(f *testing.F) {
	f.Add(appendGreeting(nil, greeting{timeout: time.Second, session: 1, password: make([]byte, 16)}))
	f.Add([]byte("\x00\x00\x00\x14aaaabbbbccccccccdddd"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := readGreeting(bytes.NewReader(b)); err == nil && len(g.password) > maxGreeting {
			t.Fatal("password longer than the packet may be")
		}
	})
}

func FuzzFrame(f *testing.F) {
	f.Add(append(reply(1, 10, "abc"), reply(xidPing, 1, "")...), int32(opExists))
	f.Add(reply(1, 1, "\x00\x00\x00\x01\x00\x00\x00\x01a"+strings.Repeat("s", statSize)), int32(opGetChildren))
	f.Fuzz(func(t *testing.T, b []byte, op int32) {
		r := bytes.NewReader(b)
		for buf, err := readFrame(r, nil); err == nil; buf, err = readFrame(r, buf) {
			readable(op, buf[4+replyHead:])
		}
	})
}
