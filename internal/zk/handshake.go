package zk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Both packets of the handshake, behind an int32 length, big endian:
//
//	int32    int64      int32       int64    int32 + bytes
//	protocol last zxid  timeout ms  session  password       the request; the last zxid tells the server what we have seen
//	protocol            timeout ms  session  password       the reply; session 0 means that ours is unknown or expired
const maxGreeting = 256 // no server's reply is longer

var errGreeting = errors.New("the server's answer to the handshake is not ZooKeeper's")

type greeting struct {
	timeout  time.Duration
	session  int64
	password []byte
}

func appendHello(dst []byte, zxid int64, g greeting) []byte {
	password := g.password
	if len(password) == 0 {
		password = make([]byte, 16)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+8+4+8+4+len(password)))
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint64(dst, uint64(zxid))
	return appendSession(dst, g, password)
}

func appendGreeting(dst []byte, g greeting) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+4+8+4+len(g.password)))
	dst = binary.BigEndian.AppendUint32(dst, 0)
	return appendSession(dst, g, g.password)
}

func appendSession(dst []byte, g greeting, password []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(g.timeout/time.Millisecond))
	dst = binary.BigEndian.AppendUint64(dst, uint64(g.session))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(password)))
	return append(dst, password...)
}

// readGreeting reads the server's reply. io.EOF means that it hung up without one.
func readGreeting(r io.Reader) (greeting, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return greeting{}, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxGreeting {
		return greeting{}, fmt.Errorf("%w: %d bytes long", errGreeting, n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return greeting{}, fmt.Errorf("%w: %w", errGreeting, err)
	}
	return parseGreeting(body)
}

func parseGreeting(b []byte) (greeting, error) {
	if len(b) < 20 {
		return greeting{}, fmt.Errorf("%w: %d bytes long", errGreeting, len(b))
	}
	g := greeting{
		timeout: time.Duration(int32(binary.BigEndian.Uint32(b[4:]))) * time.Millisecond,
		session: int64(binary.BigEndian.Uint64(b[8:])),
	}
	n := int32(binary.BigEndian.Uint32(b[16:]))
	if n < 0 || int(n) > len(b)-20 {
		return greeting{}, fmt.Errorf("%w: password of %d bytes", errGreeting, n)
	}
	g.password = append([]byte(nil), b[20:20+n]...)
	if g.timeout <= 0 {
		g.session = 0
	}
	return g, nil
}
