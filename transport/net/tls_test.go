package net_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	stdnet "net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/transport"
	"github.com/ferryrpc/ferry/transport/net"
	"github.com/ferryrpc/ferry/transport/transporttest"
	"github.com/ferryrpc/ferry/url"
)

// certificate returns a TLS configuration for both sides, valid for 127.0.0.1.
func certificate(t testing.TB) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []stdnet.IP{stdnet.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func openTLS(t testing.TB) (server, client transport.Transport, base *url.URL) {
	base = url.MustParse("net://127.0.0.1:0")
	server, err := net.New(extension.Env{TLS: certificate(t)}, base)
	require.NoError(t, err)
	return server, server, base
}

func TestConformanceTLS(t *testing.T) { transporttest.Run(t, openTLS, 50) }

func BenchmarkEchoTLS(b *testing.B) { transporttest.Bench(b, openTLS) }

// reported is a Receiver that reports its end.
type reported chan error

func (r reported) Received(b []byte) (int, error) { return len(b), nil }
func (r reported) Closed(err error)               { r <- err }

func TestSilentPeerIsDroppedAndNobodyWaitsForIt(t *testing.T) {
	server, client, base := openTLS(t)
	ended := make(reported, 1)
	l, err := server.Listen(base.With("handshake.timeout", "300"), func(transport.Conn) transport.Receiver { return ended })
	require.NoError(t, err)
	defer l.Close()
	silent, err := stdnet.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer silent.Close()

	c, err := client.Dial(context.Background(), base.WithAddress(l.Addr().String()), func(transport.Conn) transport.Receiver { return make(reported, 1) })
	require.NoError(t, err, "a handshake goes on while another waits")
	c.Close(nil)
	require.ErrorIs(t, <-ended, io.EOF)
	require.NoError(t, silent.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err = silent.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, stdnet.ErrClosed)
	timeout, ok := err.(stdnet.Error)
	require.False(t, ok && timeout.Timeout(), "the server drops the silent peer")
}

func TestListenerCloseEndsHandshakes(t *testing.T) {
	server, _, base := openTLS(t)
	l, err := server.Listen(base, func(transport.Conn) transport.Receiver { return make(reported, 1) })
	require.NoError(t, err)
	silent, err := stdnet.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer silent.Close()
	require.NoError(t, l.Close())
}

func TestDialGivesUpASilentServer(t *testing.T) {
	_, client, base := openTLS(t)
	silent, err := stdnet.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	address := silent.Addr().String()
	opened := func(transport.Conn) transport.Receiver { return make(reported, 1) }
	_, err = client.Dial(context.Background(), base.WithAddress(address).With("handshake.timeout", "30"), opened)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "handshake with "+address)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	_, err = client.Dial(ctx, base.WithAddress(address), opened)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestTLSIsNotWeakened(t *testing.T) {
	server, _, base := openTLS(t)
	l, err := server.Listen(base, func(transport.Conn) transport.Receiver { return make(reported, 1) })
	require.NoError(t, err)
	defer l.Close()
	_, err = tls.Dial("tcp", l.Addr().String(), &tls.Config{MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true})
	require.Error(t, err, "TLS 1.1 is refused")

	stranger, err := net.New(extension.Env{TLS: &tls.Config{RootCAs: x509.NewCertPool()}}, base)
	require.NoError(t, err)
	_, err = stranger.Dial(context.Background(), base.WithAddress(l.Addr().String()), func(transport.Conn) transport.Receiver { return make(reported, 1) })
	require.ErrorContains(t, err, "certificate")
	_, err = stranger.Listen(base, func(transport.Conn) transport.Receiver { return nil })
	require.ErrorContains(t, err, "no certificate")
}

func TestPlainBytesToTLS(t *testing.T) {
	server, _, base := openTLS(t)
	l, err := server.Listen(base, func(transport.Conn) transport.Receiver { return make(reported, 1) })
	require.NoError(t, err)
	defer l.Close()
	plain, err := stdnet.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer plain.Close()
	_, err = plain.Write([]byte("\xda\xbb\xe2\x00 this is no client hello"))
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, plain)
	_ = err // a reset is as good as an end
}

func TestBadHandshakeTimeout(t *testing.T) {
	_, err := net.New(extension.Env{}, url.MustParse("net://h?handshake.timeout=-1"))
	require.ErrorContains(t, err, "handshake.timeout")
	_, err = net.New(extension.Env{}, url.MustParse("net://h?handshake.timeout=x"))
	require.ErrorContains(t, err, "handshake.timeout")
}
