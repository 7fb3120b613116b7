package dubbo

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/ferryrpc/ferry/exchange"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/url"
)

// protocolVersion is what every current Java and Go version of Dubbo writes; an answer to it may carry attachments.
const protocolVersion = "2.0.2"

// noVersion stands for "no service version": Java sends it and takes it for the same as none.
const noVersion = "0.0.0"

// Flags at the start of an answer's body.
const (
	flagException = iota
	flagValue
	flagNull
	flagExceptionAttached
	flagValueAttached
	flagNullAttached
)

// flags holds the flag values, so that a Writer can be given a pointer to one without an allocation.
var flags = [...]int32{0, 1, 2, 3, 4, 5}

// answerAttachments is what Java puts into every answer that carries attachments.
var answerAttachments = []string{"dubbo", protocolVersion}

// supportsAttachments says whether a peer with this protocol version reads flags 3 to 5: 2.0.2 to 2.0.99
// (Dubbo, Version.isSupportResponseAttachment).
func supportsAttachments(version string) bool {
	const lowest, highest, numbers = 20002, 20099, 3
	n, part, seen := 0, 0, 1
	for i := 0; i <= len(version); i++ {
		if i == len(version) || version[i] == '.' {
			n, part = n*100+part, 0
			if i < len(version) {
				seen++
			}
			continue
		}
		d := version[i]
		if d < '0' || d > '9' || part > 99 {
			return false
		}
		part = part*10 + int(d-'0')
	}
	return seen == numbers && n >= lowest && n <= highest
}

// defaultTimeout stands in for a timeout of 0.
const defaultTimeout = time.Second

// plan is what a reference knows about one method before any call.
type plan struct {
	method      *protocol.Method
	timeout     time.Duration
	oneway      bool
	prefix      []byte   // encoded
	pairs       []string // attachments without the timeout
	attachments []byte   // encoded, with the default timeout
	guess       guess    // size of a request
}

// newPlan encodes what is constant for a method.
func newPlan(m *protocol.Method, u *url.URL, s serialize.Serializer) (*plan, error) {
	mu := u.ForMethod(m.Key())
	var params Params
	if err := mu.Decode(&params); err != nil {
		return nil, err
	}
	p := &plan{method: m, timeout: params.Timeout, oneway: m.Kind == protocol.OneWay || !params.Return}
	if p.timeout <= 0 {
		p.timeout = defaultTimeout
	}
	path, service, version := u.Path(), u.Interface(), normal(u.Param("version"))
	if service == "" {
		service = m.Service
	}
	if path == "" {
		path = service
	}
	// The service is named by its interface, which is not the path of a provider with a context path.
	p.prefix = appendPrefix(s, protocolVersion, service, version, m.Name, m.Descriptor)
	p.pairs = []string{"path", path, "interface", service, "version", version}
	for _, key := range []string{"group", "token"} {
		if v := u.Param(key); v != "" && v != "*" {
			p.pairs = append(p.pairs, key, v)
		}
	}
	if p.oneway {
		p.pairs = append(p.pairs, "return", "false")
	}
	if app := u.Param("application"); app != "" && u.Param("side") == "consumer" {
		p.pairs = append(p.pairs, "remote.application", app)
	}
	w := s.Writer(nil)
	w.WriteMap(append(p.pairs[:len(p.pairs):len(p.pairs)], "timeout", url.FormatDuration(p.timeout)))
	p.attachments = w.Bytes()
	w.Free()
	return p, nil
}

func appendPrefix(s serialize.Serializer, parts ...string) []byte {
	w := s.Writer(nil)
	defer w.Free()
	for _, part := range parts {
		w.WriteString(part)
	}
	return w.Bytes()
}

// room is a first guess at a frame's size beyond its constant parts; frames grow.
const room = 256

// A guess remembers how large the messages of a method are, so that a large one is written into a buffer of its size
// and not into ever larger ones.
type guess struct{ size atomic.Int64 }

// frame returns a frame for a message, with room for at least n bytes.
func (g *guess) frame(n int) *transport.Frame { return transport.Spare(max(n, int(g.size.Load()))) }

// learn is told the size of a message. Most calls change nothing, so that the callers do not fight for the memory.
func (g *guess) learn(n int) {
	if old := int(g.size.Load()); n > old || n < old/8 {
		g.size.Store(int64(n + n/8))
	}
}

// request encodes a call with HeaderLen bytes free at its front.
func (p *plan) request(s serialize.Serializer, c *protocol.Invocation, timeout time.Duration) (*transport.Frame, error) {
	f := p.guess.frame(exchange.HeaderLen + len(p.prefix) + len(p.attachments) + room)
	w := s.Writer(append(f.B[:exchange.HeaderLen], p.prefix...))
	defer w.Free()
	if c.Args != nil {
		if err := w.Write(c.Args); err != nil {
			f.Free()
			return nil, err
		}
	}
	if timeout == p.timeout && len(c.Attachments) == 0 {
		w.WriteRaw(p.attachments)
	} else {
		w.WriteMap(p.merged(c.Attachments, timeout))
	}
	f.B = w.Bytes()
	p.guess.learn(len(f.B))
	return f, nil
}

// merged puts the caller's attachments behind the reference's own, which cannot be replaced.
func (p *plan) merged(user protocol.Attachments, timeout time.Duration) []string {
	pairs := append(make([]string, 0, len(p.pairs)+2+len(user)), p.pairs...)
	pairs = append(pairs, "timeout", strconv.FormatInt(max(timeout.Milliseconds(), 1), 10))
	own := protocol.Attachments(pairs)
	for i := 0; i+1 < len(user); i += 2 {
		if _, taken := own.Get(user[i]); !taken {
			pairs = append(pairs, user[i], user[i+1])
		}
	}
	return pairs
}
