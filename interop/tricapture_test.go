package interop

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/interop/fleet"
)

// A triMessage is one message that a Java program sent over tri, as it stands in protocol/triple/testdata/captured: the bytes
// behind gRPC's prefix.
type triMessage struct {
	From string `json:"from"` // program and version
	Kind string `json:"kind"` // request or response
	Path string `json:"path"`
	Type string `json:"type"` // the content type of the whole
	Hex  string `json:"hex"`
}

// triMessages collects what one Java version sends over tri.
type triMessages struct {
	peer javaPeer
	mu   sync.Mutex // guards list
	list []triMessage
}

// proxy listens on loopback and passes HTTP/2 on to target. It records the messages of the side that kind names.
func (m *triMessages) proxy(t *testing.T, target, kind string) string {
	t.Helper()
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &h2c}
	pass := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // at once
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: target})
			if kind == "request" && r.Out.Body != nil {
				r.Out.Body = m.record(r.Out.Body, kind, r.In.URL.Path, r.In.Header)
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if kind == "response" {
				r.Body = m.record(r.Body, kind, r.Request.URL.Path, r.Header)
			}
			return nil
		},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: pass, Protocols: &h2c}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-ended; transport.CloseIdleConnections() })
	return l.Addr().String()
}

// record is body, which keeps its messages as they pass.
func (m *triMessages) record(body io.ReadCloser, kind, path string, h http.Header) io.ReadCloser {
	return &recorded{ReadCloser: body, keep: func(message []byte) {
		const most = 8192 // which exceptions with their stack traces need
		if len(message) > most {
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.list = append(m.list, triMessage{m.peer.name, kind, path, h.Get("Content-Type"), hex.EncodeToString(message)})
	}}
}

type recorded struct {
	io.ReadCloser
	keep func(message []byte)
	have []byte // an unfinished message with its prefix
}

func (r *recorded) Read(b []byte) (int, error) {
	const prefix = 5
	n, err := r.ReadCloser.Read(b)
	r.have = append(r.have, b[:n]...)
	for len(r.have) >= prefix {
		end := prefix + int(binary.BigEndian.Uint32(r.have[1:]))
		if len(r.have) < end {
			break
		}
		r.keep(bytes.Clone(r.have[prefix:end]))
		r.have = r.have[end:]
	}
	return n, err
}

// save writes each message once.
func (m *triMessages) save() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir := filepath.Join("..", "protocol", "triple", "testdata", "captured")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	list := slices.Clone(m.list)
	slices.SortStableFunc(list, func(a, b triMessage) int { return strings.Compare(a.Path+a.Kind, b.Path+b.Kind) })
	var b strings.Builder
	e := json.NewEncoder(&b)
	b.WriteString("[\n")
	seen, count := map[triMessage]bool{}, map[string]int{}
	for _, one := range list {
		const most = 12                                        // of a stream
		ofProtobuf := strings.Contains(one.Path, ".idl.Shop/") // whose own encoding says nothing about Dubbo
		if seen[one] || ofProtobuf || strings.Contains(one.Path, ".StreamApi/") && count[one.Kind+one.Path] == most {
			continue
		}
		seen[one] = true
		count[one.Kind+one.Path]++
		if b.Len() > 2 {
			b.WriteString(",")
		}
		if err := e.Encode(one); err != nil {
			return err
		}
	}
	b.WriteString("]\n")
	return os.WriteFile(filepath.Join(dir, "java"+m.peer.line+".json"), []byte(b.String()), 0o644)
}

// TestCaptureTriple writes what the Java programs send over tri to the golden vectors. It is asked for by INTEROP_FRAMES alone;
// protocol/triple's tests read the files.
func TestCaptureTriple(t *testing.T) {
	if os.Getenv("INTEROP_FRAMES") == "" {
		return
	}
	for _, line := range lines {
		if !wanted(line) || line == "27" {
			continue
		}
		t.Run(line, func(t *testing.T) {
			peer := java(t, line).overTri()
			m := &triMessages{peer: peer}
			s := serve(t, "", "ferry", ferry.Param("protocol", "tri"))
			consumer := peer.start(t, "Consumer", "url=tri://"+m.proxy(t, s.URLs()[0].Address(), "request"), "application=consumer")
			consumer.tell("types")
			consumer.tell("calls")
			consumer.stop()
			closeServer(t, s)
			m.ofProvider(t)
			m.ofStreams(t)
			require.NoError(t, m.save())
		})
	}
}

// ofProvider keeps what a Java provider answers.
func (m *triMessages) ofProvider(t *testing.T) {
	port := freePort(t)
	provider := m.peer.start(t, "Provider", "port="+port, "application=provider")
	address := "tri://" + m.proxy(t, "127.0.0.1:"+port, "response")
	c := client(t, "", ferry.Direct(address), ferry.Timeout(5*time.Second))
	require.NoError(t, fleet.RegisterTypesTypes(c.Types()))
	typeCells(t, c, func(string, error) {})
	capturedCalls(t, &callCells{c: c, tri: true, address: address})
	require.NoError(t, c.Close())
	provider.stop()
}

// ofStreams keeps the messages of streams and those of protobuf, of either side.
func (m *triMessages) ofStreams(t *testing.T) {
	s := ferry.NewServer("", ferry.Param("protocol", "tri"), ferry.Param("host", "127.0.0.1"), ferry.Param("application", "ferry"))
	require.NoError(t, fleet.PublishStreams(s))
	t.Cleanup(func() { closeServer(t, s) })
	consumer := m.peer.start(t, "StreamConsumer", "url=tri://"+m.proxy(t, s.URLs()[0].Address(), "request"), "application=consumer")
	// Not those of large messages: the proxy loses Java's connection over them.
	for _, cells := range []string{"streams/server", "streams/client", "objects", "middle", "1000", "protobuf/attachments", "protobuf/failure", "protobuf/server", "protobuf/bidirectional"} {
		consumer.tell("streams " + cells)
	}
	consumer.stop()
	closeServer(t, s)

	port := freePort(t)
	provider := m.peer.start(t, "StreamProvider", "port="+port, "application=provider")
	x := newStreamCells(t, "tri://"+m.proxy(t, "127.0.0.1:"+port, "response"))
	for _, one := range x.all() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_ = one.run(ctx) // TestTripleStreams judges
		cancel()
	}
	require.NoError(t, x.c.Close())
	provider.stop()
}
