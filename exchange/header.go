package exchange

import "encoding/binary"

// HeaderLen is the number of bytes before a body. Frames handed to Do and Reply leave that much free at their front.
const HeaderLen = 16

const magic = 0xdabb

// Flag bits of the third header byte; the low five bits are the serialization id.
const (
	FlagRequest byte = 0x80
	FlagTwoWay  byte = 0x40
	FlagEvent   byte = 0x20
	MaskID      byte = 0x1f
)

// A Header is the fixed part of a message.
type Header struct {
	Flags, Status byte
	ID            uint64 // opaque: a response repeats its request's
	Length        uint32 // of the body
}

// Serialization returns the id of the format that the body is in.
func (h Header) Serialization() byte { return h.Flags & MaskID }

// Request says whether the message is a request.
func (h Header) Request() bool { return h.Flags&FlagRequest != 0 }

// TwoWay says whether the sender of a request wants an answer.
func (h Header) TwoWay() bool { return h.Flags&FlagTwoWay != 0 }

// Event says whether the message is the exchange layer's own: a heartbeat or READONLY.
func (h Header) Event() bool { return h.Flags&FlagEvent != 0 }

// Put writes the header into the first HeaderLen bytes of b.
func (h Header) Put(b []byte) {
	_ = b[HeaderLen-1]
	binary.BigEndian.PutUint16(b, magic)
	b[2], b[3] = h.Flags, h.Status
	binary.BigEndian.PutUint64(b[4:], h.ID)
	binary.BigEndian.PutUint32(b[12:], h.Length)
}

// ParseHeader reads a header from the first HeaderLen bytes of b; false when they do not begin with the magic number.
func ParseHeader(b []byte) (Header, bool) {
	_ = b[HeaderLen-1]
	h := Header{Flags: b[2], Status: b[3], ID: binary.BigEndian.Uint64(b[4:]), Length: binary.BigEndian.Uint32(b[12:])}
	return h, binary.BigEndian.Uint16(b) == magic
}
