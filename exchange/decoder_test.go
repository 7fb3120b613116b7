package exchange

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

type collected struct {
	bodies []string
	large  []Header
}

func (c *collected) message(m Message) error {
	c.bodies = append(c.bodies, string(m.Body.B))
	m.Body.Free()
	return nil
}

func (c *collected) tooLarge(h Header) error { c.large = append(c.large, h); return nil }

func stream(bodies ...string) []byte {
	var b []byte
	for i, body := range bodies {
		var h [HeaderLen]byte
		Header{Flags: FlagRequest, ID: uint64(i), Length: uint32(len(body))}.Put(h[:])
		b = append(append(b, h[:]...), body...)
	}
	return b
}

// feed gives a decoder its input in pieces of size n, and again what it left.
func feed(d *decoder, b []byte, n int, to messages) error {
	var rest []byte
	for len(b) > 0 {
		k := min(n, len(b))
		rest = append(rest, b[:k]...)
		b = b[k:]
		used, err := d.decode(rest, to)
		if err != nil {
			return err
		}
		rest = append([]byte(nil), rest[used:]...)
	}
	return nil
}

func TestDecoderCutsAnyPiecesIntoTheSameMessages(t *testing.T) {
	bodies := []string{"", "a", string(bytes.Repeat([]byte("x"), 100<<10)), "tail", ""}
	b := stream(bodies...)
	for _, n := range []int{1, 7, 15, 16, 17, 4096, 33 << 10, len(b)} {
		d := decoder{limit: 1 << 20}
		var got collected
		require.NoError(t, feed(&d, b, n, &got))
		require.Equal(t, bodies, got.bodies, "pieces of %d", n)
		require.False(t, d.partial())
	}
}

func TestDecoderSkipsWhatIsTooLarge(t *testing.T) {
	b := stream("before", string(make([]byte, 5000)), "after")
	for _, n := range []int{1, 100, len(b)} {
		d := decoder{limit: 1000}
		var got collected
		require.NoError(t, feed(&d, b, n, &got))
		require.Equal(t, []string{"before", "after"}, got.bodies)
		require.Len(t, got.large, 1)
		require.EqualValues(t, 5000, got.large[0].Length)
	}
}

func TestDecoderMemoryFollowsTheBytesThatCame(t *testing.T) {
	var h [HeaderLen]byte
	Header{Flags: FlagRequest, Length: 8 << 20}.Put(h[:])
	d := decoder{limit: 8 << 20}
	var got collected
	require.NoError(t, feed(&d, append(h[:], "abc"...), 19, &got))
	require.LessOrEqual(t, cap(d.body.B), 64<<10)
	rest := make([]byte, 8<<20-3)
	for came := 3; len(rest) > 1<<10; came += 1 << 10 {
		_, err := d.decode(rest[:1<<10], &got)
		require.NoError(t, err)
		rest = rest[1<<10:]
		require.LessOrEqual(t, cap(d.body.B), max(64<<10, lastGrowth*(came+1<<10)))
	}
	_, err := d.decode(rest, &got)
	require.NoError(t, err)
	require.Len(t, got.bodies[0], 8<<20)
}

func FuzzDecoder(f *testing.F) {
	f.Add(stream("a", "", "bcd"), 3)
	f.Add([]byte("\xda\xbb\xe2\x00\x00\x00\x00\x00\x00\x00\x00\x07\xff\xff\xff\xff"), 5)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n <= 0 {
			n = 1
		}
		whole, pieces := decoder{limit: 1 << 16}, decoder{limit: 1 << 16}
		var one, many collected
		err1 := feed(&whole, b, max(len(b), 1), &one)
		err2 := feed(&pieces, b, n, &many)
		if (err1 == nil) != (err2 == nil) {
			t.Fatalf("in one piece: %v, in pieces of %d: %v", err1, n, err2)
		}
		require.Equal(t, one.bodies, many.bodies)
		whole.free()
		pieces.free()
	})
}
