package zk

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// secured listens with TLS in front of a plain server.
func secured(t *testing.T, target string) (addr string, roots *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{{127, 0, 0, 1}}}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer in.Close()
				out, err := net.Dial("tcp", target)
				if err != nil {
					return
				}
				wg.Go(func() { defer in.Close(); defer out.Close(); _, _ = io.Copy(out, in) })
				defer out.Close()
				_, _ = io.Copy(in, out)
			})
		}
	})
	return l.Addr().String(), roots
}

func TestTLS(t *testing.T) {
	addr, roots := secured(t, embedded(t).Addr())
	c := open(t, Config{Addresses: []string{addr}, SessionTimeout: 3 * time.Second, TLS: &tls.Config{RootCAs: roots}})
	_, err := c.Create(within(t, 5*time.Second), Node{Path: "/secure", Session: session(t, c)})
	require.NoError(t, err)

	stranger := open(t, Config{Addresses: []string{addr}, SessionTimeout: 3 * time.Second, TLS: &tls.Config{}})
	for changed := stranger.Changed(); stranger.Status().Err == nil; changed = stranger.Changed() {
		<-changed
	}
	require.ErrorContains(t, stranger.Status().Err, "certificate")
}
