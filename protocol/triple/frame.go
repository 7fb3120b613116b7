package triple

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ferryrpc/ferry/exchange"
)

// prefixLen is the length of what stands in front of a message: a flag, and the length as four bytes.
const prefixLen = 5

const compressedFlag = 1

// seal writes the prefix of the message b[prefixLen:].
func seal(b []byte) {
	b[0] = 0
	binary.BigEndian.PutUint32(b[1:prefixLen], uint32(len(b)-prefixLen))
}

var (
	errCompressed = errors.New("a message is compressed, and no grpc-encoding says how")
	errFlag       = errors.New("the first byte of a message's prefix is neither 0 nor 1")
	errMore       = errors.New("there is more than the one message that the method takes")
)

// readMessage reads the next message behind room free bytes; io.EOF means that none follows. A message over the limit is
// refused before its bytes are read, and memory grows with the bytes that have arrived.
func readMessage(r io.Reader, room int, limit int64, encoding string) ([]byte, error) {
	var prefix [prefixLen]byte
	if n, err := io.ReadFull(r, prefix[:]); err != nil {
		if n > 0 && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(prefix[1:]))
	switch {
	case prefix[0] > compressedFlag:
		return nil, errFlag
	case size > limit:
		return nil, &exchange.TooLargeError{Size: size, Limit: limit}
	}
	b, err := readGrowing(r, room, int(size))
	if err != nil || prefix[0] == 0 {
		return b, err
	}
	if encoding != "gzip" {
		return nil, errCompressed
	}
	return unzip(b, room, limit)
}

// readGrowing reads size bytes behind room free ones, into memory that at most doubles with each read.
func readGrowing(r io.Reader, room, size int) ([]byte, error) {
	const first = 16 << 10
	b := make([]byte, room+min(size, first))
	for have := 0; have < size; {
		if room+have == len(b) {
			bigger := make([]byte, room+min(size, 2*have))
			copy(bigger, b)
			b = bigger
		}
		n, err := io.ReadFull(r, b[room+have:])
		have += n
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return b, nil
}

// unzip decompresses a message, up to the limit.
func unzip(b []byte, room int, limit int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b[room:]))
	if err != nil {
		return nil, fmt.Errorf("a compressed message: %w", err)
	}
	out := bytes.NewBuffer(make([]byte, room, 2*len(b)))
	n, err := io.Copy(out, io.LimitReader(z, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("a compressed message: %w", err)
	case n > limit:
		return nil, &exchange.TooLargeError{Size: n, Limit: limit}
	}
	return out.Bytes(), nil
}

// readOnly reads a stream's only message, and finds its end.
func readOnly(r io.Reader, room int, limit int64, encoding string) ([]byte, error) {
	b, err := readMessage(r, room, limit, encoding)
	if err != nil {
		return nil, err
	}
	var one [1]byte
	switch _, err := io.ReadFull(r, one[:]); err {
	case io.EOF:
		return b, nil
	case nil:
		return nil, errMore
	default:
		return nil, err
	}
}
