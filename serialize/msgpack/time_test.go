package msgpack

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

// TestTimeInAString: dubbo-go 3.3.0 writes the bytes of the timestamp as a string.
func TestTimeInAString(t *testing.T) {
	for body, want := range map[string]time.Time{
		"\xa8\x1d\x53\x53\x00\x65\x53\xf1\x00":                 time.UnixMilli(1700000000123),
		"\xa4\x65\x53\xf1\x00":                                 time.Unix(1700000000, 0),
		"\xac\x00\x00\x00\x07\x00\x00\x00\x00\x65\x53\xf1\x00": time.Unix(1700000000, 7),
		"\xb42023-11-14T22:13:20Z":                             time.Unix(1700000000, 0),
		"\xac\x00\x00\x00\x00\xff\xff\xff\xf1\x88\x6e\x09\x00": {}, // Go's zero time
	} {
		r := New(nil).Reader([]byte(body), serialize.Limits{})
		var got time.Time
		require.NoError(t, r.Read(&got), "%q", body)
		require.True(t, want.Equal(got), "%q: %v", body, got)
		r.Free()
	}
	for _, body := range []string{"\xa3abc", "\xa0", "\xa9123456789"} {
		r := New(nil).Reader([]byte(body), serialize.Limits{})
		var got time.Time
		require.ErrorIs(t, r.Read(&got), serialize.ErrMalformed, "%q", body)
		r.Free()
	}
}
