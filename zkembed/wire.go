package zkembed

import (
	"bytes"
	"encoding/binary"
)

// Frames, big endian:
//
//	| length int32 | body: length bytes |
//
// A client's first body is a connect request, answered by a connect response:
//
//	| protocol int32 | last zxid seen int64 | timeout ms int32 | session int64 | password buffer | read-only bool, optional |
//	| protocol int32 | timeout ms int32 | session int64 | password buffer | read-only bool, if the request had it |
//
// Every further body is a request or a reply; the body of a reply follows only if its error is 0:
//
//	| xid int32 | op int32 | … |                    | xid int32 | zxid int64 | error int32 | … |
//
// A string or buffer is its length as int32 (-1: absent) and its bytes; a vector is its count as int32 and its elements.
const (
	headerLen  = 16 // of a reply
	frameStart = 4 + headerLen
	xidEvent   = -1
	xidPing    = -2
)

// An Op is the operation code of a request.
type Op int32

// The operations that the server knows. All others are answered Unimplemented.
const (
	OpCreate          Op = 1
	OpDelete          Op = 2
	OpExists          Op = 3
	OpGetData         Op = 4
	OpSetData         Op = 5
	OpGetACL          Op = 6
	OpSetACL          Op = 7
	OpGetChildren     Op = 8
	OpSync            Op = 9
	OpPing            Op = 11
	OpGetChildren2    Op = 12
	OpCheck           Op = 13 // within OpMulti only
	OpMulti           Op = 14
	OpCreate2         Op = 15
	OpCheckWatches    Op = 17
	OpRemoveWatches   Op = 18
	OpCreateContainer Op = 19
	OpCreateTTL       Op = 21
	OpAuth            Op = 100
	OpSetWatches      Op = 101
	OpGetEphemerals   Op = 103
	OpCountChildren   Op = 104
	OpSetWatches2     Op = 105
	OpAddWatch        Op = 106
	OpWhoAmI          Op = 107
	OpClose           Op = -11

	opError Op = -1 // a part of a failed multi
)

// A Code is an error code of a reply. OK is success.
type Code int32

// The codes that the server answers, or that a Fault may ask for.
const (
	OK                      Code = 0
	RuntimeInconsistency    Code = -2 // part of a multi, after the one that failed
	MarshallingError        Code = -5
	Unimplemented           Code = -6
	OperationTimeout        Code = -7
	BadArguments            Code = -8
	NoNode                  Code = -101
	NoAuth                  Code = -102
	BadVersion              Code = -103
	NoChildrenForEphemerals Code = -108
	NodeExists              Code = -110
	NotEmpty                Code = -111
	SessionExpired          Code = -112
	InvalidACL              Code = -114
	AuthFailed              Code = -115
	SessionMoved            Code = -118
	NoWatcher               Code = -121
)

// A decoder reads a body. After the first failure bad is set and everything reads as zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.bad, d.b = true, nil
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) int32() int32 {
	if p := d.take(4); p != nil {
		return int32(binary.BigEndian.Uint32(p))
	}
	return 0
}

func (d *decoder) int64() int64 {
	if p := d.take(8); p != nil {
		return int64(binary.BigEndian.Uint64(p))
	}
	return 0
}

func (d *decoder) bool() bool {
	p := d.take(1)
	return p != nil && p[0] != 0
}

// raw is the bytes of a string or buffer within the body, ok is false if it is absent.
func (d *decoder) raw() (p []byte, ok bool) {
	n := d.int32()
	if n == -1 {
		return nil, false
	}
	return d.take(int(n)), !d.bad
}

// buffer is a copy, since the body's bytes are used again. It is nil if the buffer is absent, and not nil if it is empty.
func (d *decoder) buffer() []byte {
	p, ok := d.raw()
	if !ok {
		return nil
	}
	if len(p) == 0 {
		return []byte{}
	}
	return bytes.Clone(p)
}

// text is a string that must be there.
func (d *decoder) text() string {
	p, ok := d.raw()
	if !ok {
		d.bad = true
	}
	return string(p)
}

func (d *decoder) texts() (v []string) {
	for n := d.int32(); n > 0 && !d.bad; n-- {
		v = append(v, d.text())
	}
	return v
}

func appendInt32(b []byte, v int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }
func appendInt64(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendText(b []byte, s string) []byte { return append(appendInt32(b, int32(len(s))), s...) }

func appendBuffer(b, p []byte) []byte {
	if p == nil {
		return appendInt32(b, -1)
	}
	return append(appendInt32(b, int32(len(p))), p...)
}

func appendTexts(b []byte, v []string) []byte {
	b = appendInt32(b, int32(len(v)))
	for _, s := range v {
		b = appendText(b, s)
	}
	return b
}

// beginReply makes room for the header before the body of a reply is appended.
func beginReply(b []byte) []byte { return append(b[:0], make([]byte, frameStart)...) }

// endReply fills in length and header. With an error the body is dropped.
func endReply(b []byte, xid int32, zxid int64, code Code) []byte {
	if code != OK {
		b = b[:frameStart]
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	binary.BigEndian.PutUint32(b[4:], uint32(xid))
	binary.BigEndian.PutUint64(b[8:], uint64(zxid))
	binary.BigEndian.PutUint32(b[16:], uint32(code))
	return b
}

// appendEvent makes the frame that tells of a change: | -1 | -1 | 0 | type int32 | state int32, 3: connected | path |
func appendEvent(b []byte, typ int32, path string) []byte {
	b = beginReply(b)
	b = appendInt32(b, typ)
	b = appendInt32(b, 3)
	b = appendText(b, path)
	return endReply(b, xidEvent, -1, OK)
}
