package dubbo

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTelnetKnowsThisMachine: text is taken from loopback alone unless telnet.foreign says otherwise.
func TestTelnetKnowsThisMachine(t *testing.T) {
	for host, want := range map[string]bool{"127.0.0.1": true, "127.9.9.9": true, "::1": true, "192.0.2.7": false, "2001:db8::1": false, "0.0.0.0": false} {
		require.Equal(t, want, local(&net.TCPAddr{IP: net.ParseIP(host), Port: 1}), host)
	}
	require.False(t, local(&net.UnixAddr{Name: "/tmp/x", Net: "unix"}), "what is not known is foreign")
}
