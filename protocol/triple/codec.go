package triple

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// A shape is how a method's messages look on the wire.
type shape struct {
	proto      bool // one protobuf message on either side: no wrapper
	rpc        string
	argTypes   []string // Java class names
	wireTypes  []string // those of a request: Java names the observer of a server stream, too
	returnType string
}

// observer is the type of what takes the messages of a stream in Java.
const observer = "org.apache.dubbo.common.stream.StreamObserver"

func newShape(m *protocol.Method) shape {
	s := shape{rpc: m.RPC, argTypes: classNames(m.Descriptor), returnType: "void"}
	if s.rpc == "" {
		s.rpc = m.Name
	}
	if names := classNames(m.Return); len(names) == 1 {
		s.returnType = names[0]
	}
	s.wireTypes = s.argTypes
	if m.Kind == protocol.ServerStream {
		s.wireTypes = append(slices.Clip(s.argTypes), observer)
	}
	if m.New != nil {
		c := m.New()
		s.proto = isMessage(c.Args) && isMessage(c.Reply)
		if m.Free != nil {
			m.Free(c)
		}
	}
	return s
}

func isMessage(r protocol.Row) bool {
	if r == nil || r.Len() != 1 {
		return false
	}
	_, ok := r.At(0).(proto.Message)
	return ok
}

// classNames turns a JVM descriptor into names as Class.getName has them: Ljava/lang/String;I[B into java.lang.String, int, [B.
func classNames(descriptor string) []string {
	var out []string
	for descriptor != "" {
		dims := len(descriptor) - len(strings.TrimLeft(descriptor, "["))
		n := dims + 1
		if n > len(descriptor) {
			return out
		}
		object := descriptor[dims] == 'L'
		if object {
			end := strings.IndexByte(descriptor, ';')
			if end < 0 {
				return out
			}
			n = end + 1
		}
		name := strings.ReplaceAll(descriptor[:n], "/", ".")
		switch {
		case dims > 0:
		case object:
			name = name[1 : n-1]
		default:
			name = primitive(name[0])
		}
		out = append(out, name)
		descriptor = descriptor[n:]
	}
	return out
}

func primitive(c byte) string {
	switch c {
	case 'Z':
		return "boolean"
	case 'B':
		return "byte"
	case 'C':
		return "char"
	case 'S':
		return "short"
	case 'I':
		return "int"
	case 'J':
		return "long"
	case 'F':
		return "float"
	case 'D':
		return "double"
	}
	return "void"
}

// room is what a message is read behind and written behind, so that the format's own length fits before it.
const room = 10

// appendMessage encodes one protobuf message as a sealed frame. The format writes the message with its length in front,
// which gRPC's own prefix takes the place of.
func (p *Protocol) appendMessage(v any) ([]byte, error) {
	const first = 512
	w := p.proto.Writer(make([]byte, prefixLen, first))
	defer w.Free()
	if err := w.Write(v); err != nil {
		return nil, err
	}
	b := w.Bytes()
	_, n := protowire.ConsumeVarint(b[prefixLen:])
	b = b[n:]
	seal(b)
	return b, nil
}

// readMessage decodes the message b[room:], over whose head the format's own length is written.
func (p *Protocol) readMessage(b []byte, into any) error {
	n := len(b) - room
	start := room - protowire.SizeVarint(uint64(n))
	protowire.AppendVarint(b[:start], uint64(n))
	return readValue(p.proto, b[start:], p.config.Limits, into)
}

// request encodes what a consumer sends.
func (p *Protocol) request(s *shape, f format, row serialize.Row) ([]byte, error) {
	if s.proto {
		return p.appendMessage(row.At(0))
	}
	const first = 512
	b, err := appendRequest(make([]byte, prefixLen, first), f, row, s, p.config.Limits)
	if err == nil {
		seal(b)
	}
	return b, err
}

// response encodes what a provider sends. wire is what the request called the format.
func (p *Protocol) response(s *shape, f format, wire string, row serialize.Row) ([]byte, error) {
	if s.proto {
		return p.appendMessage(row.At(0))
	}
	var v any
	if row != nil && row.Len() > 0 {
		v = row // which knows more of its value than the value's type says
	}
	return p.wrap(f, wire, v, s.returnType)
}

func (p *Protocol) wrap(f format, wire string, v any, typeName string) ([]byte, error) {
	const first = 512
	b, err := appendResponse(make([]byte, prefixLen, first), f, wire, v, typeName)
	if err == nil {
		seal(b)
	}
	return b, err
}

// readResponse decodes what a consumer got: a message behind room free bytes. exception is not nil when it is the
// service's error.
func (p *Protocol) readResponse(s *shape, f format, b []byte, row serialize.Row, thrown bool) (exception *serialize.Exception, err error) {
	if s.proto {
		return nil, p.readMessage(b, row.At(0))
	}
	w, err := parseWrapper(b[room:])
	if err != nil {
		return nil, err
	}
	if formatName(w.format) != f.name {
		return nil, fmt.Errorf("the reply is in serialization %q, the call was in %s", shorten(w.format, 32), f.name)
	}
	switch {
	case thrown && len(w.args) == 1:
		exception = new(serialize.Exception)
		return exception, readValue(f, w.args[0], p.config.Limits, exception)
	case row == nil || row.Len() == 0 || len(w.args) == 0: // void, or protobuf's empty bytes
		return nil, nil
	}
	return nil, readValue(f, w.args[0], p.config.Limits, row)
}

// shorten brings a peer's text into one short line.
func shorten(s string, most int) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.TrimSpace(s)
}
