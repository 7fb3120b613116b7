package triple_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
)

// TestOneRequestLeavesTheConnectionsWindowOpen: the client of Dubbo 3.2 gives up its connection when that window is at zero, so
// the window of a single request must be smaller.
func TestOneRequestLeavesTheConnectionsWindowOpen(t *testing.T) {
	conn, err := net.Dial("tcp", serve(t, newStreamer()))
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	_, err = io.WriteString(conn, preface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00") // and empty settings
	require.NoError(t, err)
	const settings, windowUpdate, initialWindow, frameHead = 4, 8, 4, 9
	stream, connection := uint32(65535), uint32(65535)
	for seen := 0; seen < 2; {
		head := make([]byte, frameHead)
		_, err := io.ReadFull(conn, head)
		require.NoError(t, err)
		body := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		_, err = io.ReadFull(conn, body)
		require.NoError(t, err)
		switch {
		case head[3] == settings && len(body) > 0:
			for ; len(body) > 0; body = body[6:] {
				if binary.BigEndian.Uint16(body) == initialWindow {
					stream = binary.BigEndian.Uint32(body[2:])
				}
			}
			seen++
		case head[3] == windowUpdate:
			require.Zero(t, binary.BigEndian.Uint32(head[5:]), "of the connection")
			connection += binary.BigEndian.Uint32(body)
			seen++
		}
	}
	require.EqualValues(t, 1<<20, stream)
	require.Greater(t, connection, 2*stream)
}

// TestRequestPastTheLimitIsReadToItsEnd: a caller that has sent everything sees why it is refused, and not that the provider
// reads no more.
func TestRequestPastTheLimitIsReadToItsEnd(t *testing.T) {
	address := serve(t, newStreamer(), ferry.Param("payload", "2097152"))
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &h2c}
	defer transport.CloseIdleConnections()
	const size = 3 << 20 // more than may be sent before it is read
	message := append([]byte{0, 0, size >> 16, 0, 0}, make([]byte, size)...)
	sent := bytes.NewReader(message)
	r, err := http.NewRequest(http.MethodPost, "http://"+address+"/com.example.Streamer/greet", io.NopCloser(sent))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/grpc+proto")
	resp, err := (&http.Client{Transport: transport}).Do(r.WithContext(within(t, 20*time.Second)))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "8", resp.Header.Get("Grpc-Status"))
	require.Contains(t, resp.Header.Get("Grpc-Message"), "the limit is 2097152")
	require.Zero(t, sent.Len(), "bytes that were not taken")
}
