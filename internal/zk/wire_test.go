package zk

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
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

func TestScannerFollowsFramesInAnyPieces(t *testing.T) {
	stream := append(reply(1, 10, ""), reply(2, 11, "body")...)
	stream = append(stream, reply(xidPing, 12, "x")...)
	for size := 1; size <= len(stream); size++ {
		var xids []int32
		var zxids []int64
		s := scanner{reply: func(xid int32, zxid int64) { xids, zxids = append(xids, xid), append(zxids, zxid) }}
		for b := stream; len(b) > 0; {
			n := min(size, len(b))
			require.NoError(t, s.scan(b[:n]))
			b = b[n:]
		}
		require.Equal(t, []int32{1, 2, xidPing}, xids)
		require.Equal(t, []int64{10, 11, 12}, zxids)
		require.True(t, s.between())
	}
}

func TestScannerRefusesLengthsThatWouldHurtTheLibrary(t *testing.T) {
	for _, length := range []uint32{0, 15, maxFrame + 1, 1 << 31, 0xffffffff} {
		s := scanner{reply: func(int32, int64) {}}
		require.Error(t, s.scan(binary.BigEndian.AppendUint32(nil, length)), "%d", length)
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

func FuzzScanner(f *testing.F) {
	f.Add(append(reply(1, 10, "abc"), reply(xidPing, 1, "")...), 3)
	f.Add([]byte{0, 0, 0, 5, 1}, 1)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		if cut < 0 || cut > len(b) {
			return
		}
		whole, parts := 0, 0
		one := scanner{reply: func(int32, int64) { whole++ }}
		two := scanner{reply: func(int32, int64) { parts++ }}
		err := one.scan(b)
		err2 := two.scan(b[:cut])
		if err2 == nil {
			err2 = two.scan(b[cut:])
		}
		if (err == nil) != (err2 == nil) || whole != parts {
			t.Fatal("the pieces make a difference")
		}
	})
}
