package ferry_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
)

// load calls from several goroutines until the result is called, which returns how many calls were made and the first
// error of any.
func load(c *client, callers int) (stop func() (int64, error)) {
	ctx, cancel := context.WithCancel(context.Background())
	var calls atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := c.Buy(context.Background(), "apple", 1); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
				calls.Add(1)
			}
		})
	}
	return func() (int64, error) {
		cancel()
		wg.Wait()
		if err := failed.Load(); err != nil {
			return calls.Load(), *err
		}
		return calls.Load(), nil
	}
}

// served waits until a provider of that name answers.
func served(t *testing.T, c *client, name string) {
	t.Helper()
	require.Eventually(t, func() bool {
		got, err := c.Buy(context.Background(), "apple", 1)
		return err == nil && got == name+" sold apple"
	}, patience, time.Millisecond, "no call reaches %s", name)
}

// TestRollingRestartLosesNoCall is for the memory registry; TestFaultScenarios does the same with ZooKeeper.
func TestRollingRestartLosesNoCall(t *testing.T) { roll(t, "memory://"+t.Name()) }

// roll replaces all providers one after the other under load. The method is not idempotent and nobody set retries, so a
// call that was lost could not be hidden by repeating it.
func roll(t *testing.T, registry string) {
	group := ferry.Group("rolling")
	start := func(name string) *ferry.Server {
		s := ferry.NewServer(registry, group)
		require.NoError(t, s.ExportValue(service, shop{name}))
		return s
	}
	old := []*ferry.Server{start("a1"), start("b1")}
	c := refer(t, registry, group, ferry.Timeout(patience))
	served(t, c, "a1")
	served(t, c, "b1")
	stop := load(c, 8)
	for i, name := range []string{"a2", "b2"} {
		fresh := start(name)
		defer fresh.Close(canceled())
		served(t, c, name)
		require.NoError(t, old[i].Close(context.Background()))
	}
	calls, err := stop()
	require.NoError(t, err, "of %d calls", calls)
	require.Greater(t, calls, int64(100))
}

func TestTLSBothWays(t *testing.T) {
	cert, pool := certificate(t)
	s := ferry.NewServer("memory://" + t.Name())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	require.NoError(t, s.ExportValue(service, shop{"ann"}))
	defer s.Close(canceled())
	c := ferry.NewClient("memory://" + t.Name())
	c.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, ServerName: "ferry.test"}
	defer c.Close()
	in, err := fill(c)
	require.NoError(t, err)
	got, err := in.Buy(context.Background(), "apple", 1)
	require.NoError(t, err)
	require.Equal(t, "ann sold apple", got)

	plain := ferry.NewClient("memory://" + t.Name())
	defer plain.Close()
	in, err = fill(plain, ferry.Check(false), ferry.Timeout(500*time.Millisecond))
	require.NoError(t, err)
	_, err = in.Buy(context.Background(), "apple", 1)
	require.Error(t, err, "a consumer without TLS gets nothing")
}

// certificate makes a certificate for ferry.test that signs itself.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"ferry.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
