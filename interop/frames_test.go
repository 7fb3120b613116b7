package interop

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/hessian2"
)

// A frame is one message that a Java program sent, as it stands in protocol/dubbo/testdata/captured.
type frame struct {
	From   string `json:"from"`   // program and version
	Kind   string `json:"kind"`   // request or response
	Method string `json:"method"` // of Types, with its sample
	Sample string `json:"sample"`
	Hex    string `json:"hex"`
}

const headerLen = 16

// frames collects what one Java version sends.
type frames struct {
	peer   javaPeer
	events bool       // are kept, too
	mu     sync.Mutex // guards the following
	list   []frame
	asks   map[string][2]string // method and sample by request id
}

func newFrames(p javaPeer) *frames { return &frames{peer: p, asks: map[string][2]string{}} }

// proxy listens on loopback and passes everything on to target. It records what kind says: the requests of the clients,
// or the responses of the target.
func (f *frames) proxy(t *testing.T, target, kind string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", target)
			if err != nil {
				_ = a.Close()
				continue
			}
			wg.Go(func() { f.pass(a, b, kind) })
			wg.Go(func() { f.pass(b, a, kind) })
		}
	})
	return l.Addr().String()
}

// pass copies frame by frame until either side ends.
func (f *frames) pass(from, to net.Conn, kind string) {
	defer from.Close()
	defer to.Close()
	for {
		b := make([]byte, headerLen)
		if _, err := io.ReadFull(from, b); err != nil {
			return
		}
		b = append(b, make([]byte, binary.BigEndian.Uint32(b[12:]))...)
		if _, err := io.ReadFull(from, b[headerLen:]); err != nil {
			return
		}
		f.record(b, kind)
		if _, err := to.Write(b); err != nil {
			return
		}
	}
}

// record keeps a frame if it is of that kind and short enough to be read by people.
func (f *frames) record(b []byte, kind string) {
	const most, mostOfCall = 2048, 8192 // which exceptions with their stack traces need
	request, event := b[2]&0x80 != 0, b[2]&0x20 != 0
	if len(b) > mostOfCall || !f.events && (event || len(b) > most) {
		return
	}
	if event { // of both sides, each shape once
		one := frame{f.peer.name, "event", "", "", hex.EncodeToString(b)}
		f.mu.Lock()
		defer f.mu.Unlock()
		if !slices.ContainsFunc(f.list, func(o frame) bool { return o.Kind == "event" && o.Hex[4:8] == one.Hex[4:8] }) {
			f.list = append(f.list, one)
		}
		return
	}
	id := string(b[4:12])
	f.mu.Lock()
	defer f.mu.Unlock()
	if request {
		f.asks[id] = ask(b[headerLen:])
	}
	if request == (kind == "request") {
		a := f.asks[id]
		f.list = append(f.list, frame{f.peer.name, kind, a[0], a[1], hex.EncodeToString(b)})
	}
}

// ask reads method and sample out of a request's body.
func ask(body []byte) (out [2]string) {
	r := hessian2.New(nil).Reader(body, serialize.Limits{})
	defer r.Free()
	for i := range 6 {
		s, err := r.ReadString()
		if err != nil {
			return out
		}
		switch i {
		case 3:
			out[0] = s
		case 5:
			out[1] = s
		}
	}
	return out
}

// save writes the frames when the environment asks for it.
func (f *frames) save() error {
	if os.Getenv("INTEROP_FRAMES") == "" {
		return nil
	}
	dir := filepath.Join("..", "protocol", "dubbo", "testdata", "captured")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	b.WriteString("[\n")
	for i, one := range f.list {
		if i > 0 {
			b.WriteString(",")
		}
		if err := e.Encode(one); err != nil {
			return err
		}
	}
	b.WriteString("]\n")
	return os.WriteFile(filepath.Join(dir, "java"+f.peer.line+".json"), []byte(b.String()), 0o644)
}
