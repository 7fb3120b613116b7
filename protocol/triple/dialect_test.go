package triple_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// TestErrorsInTheCallersDialect: a caller that names its format in the content type, as dubbo-go does, gets the service's error as a
// status; Java's gets the exception in place of the reply.
func TestErrorsInTheCallersDialect(t *testing.T) {
	address := serve(t, newStreamer())
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: &h2c}}
	defer client.CloseIdleConnections()
	for _, k := range []struct{ contentType, format, status, thrown string }{
		{"application/grpc+hessian2", "hessian2", "2", ""},
		{"application/grpc+proto", "hessian4", "0", "3"},
		{"application/grpc", "hessian4", "0", "3"},
	} {
		message := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), k.format)
		message = protowire.AppendString(protowire.AppendTag(message, 2, protowire.BytesType), "\x04fail")
		message = protowire.AppendString(protowire.AppendTag(message, 3, protowire.BytesType), "java.lang.String")
		body := append([]byte{0, 0, 0, 0, byte(len(message))}, message...)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/com.example.Streamer/greet", bytes.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", k.contentType)
		r.Header.Set("Te", "trailers")
		resp, err := client.Do(r)
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		status := resp.Header.Get("Grpc-Status") + resp.Trailer.Get("Grpc-Status")
		require.Equal(t, k.status, status, k.contentType)
		require.Equal(t, k.thrown, resp.Header.Get("Tri-Exception-Code"), k.contentType)
		require.Equal(t, k.thrown != "", bytes.Contains(got, []byte("no such name")), k.contentType)
		if k.thrown == "" {
			require.Equal(t, "no such name", resp.Header.Get("Grpc-Message"))
		}
	}
}
