package dubbo_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/hessian2"
)

const (
	twoWay = exchange.FlagRequest | exchange.FlagTwoWay | serialize.Hessian2ID
	oneWay = exchange.FlagRequest | serialize.Hessian2ID
)

// plain is hessian2 without any registered type.
var plain = hessian2.New(nil)

// A raw is a peer that speaks bytes.
type raw struct {
	t testing.TB
	net.Conn
}

func dial(t testing.TB, address string) *raw {
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(6*patience)))
	return &raw{t, c}
}

func (r *raw) send(frames ...[]byte) {
	_, err := r.Write(bytes.Join(frames, nil))
	require.NoError(r.t, err)
}

func (r *raw) read() (exchange.Header, []byte) {
	r.t.Helper()
	h, body, err := readFrame(r)
	require.NoError(r.t, err)
	return h, body
}

func readFrame(from io.Reader) (exchange.Header, []byte, error) {
	var head [exchange.HeaderLen]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return exchange.Header{}, nil, err
	}
	h, ok := exchange.ParseHeader(head[:])
	if !ok {
		return h, nil, exchange.ErrBadFrame
	}
	body := make([]byte, h.Length)
	_, err := io.ReadFull(from, body)
	return h, body, err
}

// ask sends a two-way request and returns the status of its answer and the answer's body.
func (r *raw) ask(body []byte) (byte, []byte) {
	r.t.Helper()
	const id = 0xfeedfacecafebeef
	r.send(frame(twoWay, 0, id, body))
	h, answer := r.read()
	require.EqualValues(r.t, uint64(id), h.ID)
	require.Equal(r.t, serialize.Hessian2ID, h.Flags, "neither request nor event, in the serialization of the request")
	return h.Status, answer
}

func frame(flags, status byte, id uint64, body []byte) []byte {
	b := make([]byte, exchange.HeaderLen, exchange.HeaderLen+len(body))
	exchange.Header{Flags: flags, Status: status, ID: id, Length: uint32(len(body))}.Put(b)
	return append(b, body...)
}

// A request is the parts of a request's body; zero values are what Java sends.
type request struct {
	dubbo, path, version, method, descriptor string
	args                                     []any
	pairs                                    []string
}

func (q request) body(t testing.TB) []byte {
	w := plain.Writer(nil)
	defer w.Free()
	for _, s := range []string{or(q.dubbo, "2.0.2"), q.path, or(q.version, "0.0.0"), q.method, q.descriptor} {
		w.WriteString(s)
	}
	for _, a := range q.args {
		require.NoError(t, w.Write(&a))
	}
	if !slices.Contains(q.pairs, "path") {
		q.pairs = append([]string{"path", q.path}, q.pairs...)
	}
	w.WriteMap(q.pairs)
	return w.Bytes()
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// text reads the body of an answer whose status is not 20.
func text(t testing.TB, body []byte) string {
	t.Helper()
	r := plain.Reader(body, serialize.Limits{})
	defer r.Free()
	s, err := r.ReadString()
	require.NoError(t, err)
	require.Zero(t, r.Rest(), "one string and nothing else")
	require.NotContains(t, s, "\n")
	return s
}

// An answer is the body of an answer with status 20.
type answer struct {
	flag      int32
	value     any
	exception serialize.Exception
	pairs     []string
}

func readAnswer(t testing.TB, body []byte) (a answer) {
	t.Helper()
	r := plain.Reader(body, serialize.Limits{})
	defer r.Free()
	require.NoError(t, r.Read(&a.flag))
	switch a.flag % 3 {
	case 0:
		require.NoError(t, r.Read(&a.exception))
	case 1:
		require.NoError(t, r.Read(&a.value))
	}
	if a.flag >= 3 {
		var err error
		a.pairs, err = r.ReadMap(nil)
		require.NoError(t, err)
	}
	require.Zero(t, r.Rest())
	return a
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
