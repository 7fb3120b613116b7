//go:build !race

package guard

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net/rpc"

	"github.com/ferryrpc/ferry/benchmarks/echo"
)

// A codec is a hand-written binary codec for net/rpc, for one method and one type: the fastest form that it has.
//
//	| sequence 8 | error length 2, error | id 8 | name length 2, name | payload length 4, payload |
type codec struct {
	conn io.ReadWriteCloser
	in   *bufio.Reader
	out  *bufio.Writer
	head [10]byte
}

func newCodec(conn io.ReadWriteCloser) *codec {
	return &codec{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), out: bufio.NewWriterSize(conn, 64<<10)}
}

const method = "Echo.Echo"

func (c *codec) write(seq uint64, failure string, body any) error {
	b := binary.BigEndian.AppendUint64(c.out.AvailableBuffer(), seq)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(failure))), failure...)
	m, ok := body.(*echo.Message)
	if !ok {
		m = &echo.Message{}
	}
	b = binary.BigEndian.AppendUint64(b, uint64(m.ID))
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(m.Name))), m.Name...)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(m.Payload))), m.Payload...)
	if _, err := c.out.Write(b); err != nil {
		return err
	}
	return c.out.Flush()
}

func (c *codec) readHead() (seq uint64, failure string, err error) {
	if _, err = io.ReadFull(c.in, c.head[:]); err != nil {
		return 0, "", err
	}
	text := make([]byte, binary.BigEndian.Uint16(c.head[8:]))
	if len(text) > 0 {
		_, err = io.ReadFull(c.in, text)
	}
	return binary.BigEndian.Uint64(c.head[:]), string(text), err
}

func (c *codec) readBody(body any) error {
	m, ok := body.(*echo.Message)
	if !ok {
		m = &echo.Message{}
	}
	if _, err := io.ReadFull(c.in, c.head[:]); err != nil {
		return err
	}
	m.ID = int64(binary.BigEndian.Uint64(c.head[:]))
	name := make([]byte, binary.BigEndian.Uint16(c.head[8:]))
	if _, err := io.ReadFull(c.in, name); err != nil {
		return err
	}
	m.Name = string(name)
	if _, err := io.ReadFull(c.in, c.head[:4]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(c.head[:])
	if n > 1<<20 {
		return errors.New("payload too large")
	}
	m.Payload = make([]byte, n)
	_, err := io.ReadFull(c.in, m.Payload)
	return err
}

func (c *codec) Close() error { return c.conn.Close() }

type clientCodec struct{ *codec }

func (c clientCodec) WriteRequest(r *rpc.Request, body any) error { return c.write(r.Seq, "", body) }

func (c clientCodec) ReadResponseHeader(r *rpc.Response) (err error) {
	r.ServiceMethod = method
	r.Seq, r.Error, err = c.readHead()
	return err
}

func (c clientCodec) ReadResponseBody(body any) error { return c.readBody(body) }

type serverCodec struct{ *codec }

func (c serverCodec) ReadRequestHeader(r *rpc.Request) (err error) {
	r.ServiceMethod = method
	r.Seq, _, err = c.readHead()
	return err
}

func (c serverCodec) ReadRequestBody(body any) error { return c.readBody(body) }

func (c serverCodec) WriteResponse(r *rpc.Response, body any) error {
	return c.write(r.Seq, r.Error, body)
}
