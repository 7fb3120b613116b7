package grpc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"sync"
	gotesting "testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/interop/grpc/testing"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/protocol/triple"
)

const serviceName = "grpc.testing.TestService"

// identity is a certificate for 127.0.0.1 that trusts itself.
var identity = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ferry"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	own, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(own)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert}
})

// both runs a test over plain connections and over mutual TLS.
func both(t *gotesting.T, run func(t *gotesting.T, config *tls.Config)) {
	t.Run("plain", func(t *gotesting.T) { run(t, nil) })
	t.Run("mTLS", func(t *gotesting.T) { run(t, identity()) })
}

// provider starts the test service of Ferry and returns its address.
func provider(t *gotesting.T, config *tls.Config) string {
	s := ferry.NewServer("", ferry.Param("protocol", "tri"), ferry.Param("host", "127.0.0.1"), ferry.Param("serialization", "protobuf"))
	s.TLS = config
	require.NoError(t, s.Export(named(serviceName, testing.TestServiceService), service{}))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.Close(ctx)
	})
	return s.URLs()[0].Address()
}

// TestGRPCClient: grpc-go's client finds nothing to complain about in a Ferry provider.
func TestGRPCClient(t *gotesting.T) {
	both(t, func(t *gotesting.T, config *tls.Config) {
		creds := insecure.NewCredentials()
		if config != nil {
			creds = credentials.NewTLS(config)
		}
		cc, err := grpc.NewClient(provider(t, config), grpc.WithTransportCredentials(creds))
		require.NoError(t, err)
		defer cc.Close()
		c := testgrpc.NewTestServiceClient(cc)
		for name, run := range map[string]func(context.Context){
			"empty_unary":                 func(ctx context.Context) { interop.DoEmptyUnaryCall(ctx, c) },
			"large_unary":                 func(ctx context.Context) { interop.DoLargeUnaryCall(ctx, c) },
			"client_streaming":            func(ctx context.Context) { interop.DoClientStreaming(ctx, c) },
			"server_streaming":            func(ctx context.Context) { interop.DoServerStreaming(ctx, c) },
			"ping_pong":                   func(ctx context.Context) { interop.DoPingPong(ctx, c) },
			"empty_stream":                func(ctx context.Context) { interop.DoEmptyStream(ctx, c) },
			"timeout_on_sleeping_server":  func(ctx context.Context) { interop.DoTimeoutOnSleepingServer(ctx, c) },
			"cancel_after_begin":          func(ctx context.Context) { interop.DoCancelAfterBegin(ctx, c) },
			"cancel_after_first_response": func(ctx context.Context) { interop.DoCancelAfterFirstResponse(ctx, c) },
			"status_code_and_message":     func(ctx context.Context) { interop.DoStatusCodeAndMessage(ctx, c) },
			"special_status_message":      func(ctx context.Context) { interop.DoSpecialStatusMessage(ctx, c) },
			"custom_metadata":             func(ctx context.Context) { interop.DoCustomMetadata(ctx, c) },
			"unimplemented_method":        func(ctx context.Context) { interop.DoUnimplementedMethod(ctx, cc) },
			"unimplemented_service": func(ctx context.Context) {
				interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(cc))
			},
		} {
			// A case that fails ends the process with its reason.
			t.Run(name, func(t *gotesting.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				run(ctx)
			})
		}
	})
}

// server starts grpc-go's own test service and returns its address.
func server(t *gotesting.T, config *tls.Config) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var options []grpc.ServerOption
	if config != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	s := grpc.NewServer(options...)
	testgrpc.RegisterTestServiceServer(s, interop.NewTestServer())
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

// consumer is Ferry's client of the service at an address.
func consumer(t *gotesting.T, config *tls.Config, address, name string, i *protocol.Interface) protocol.Invoker {
	c := &ferry.Client{TLS: config}
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	ref, err := c.Refer(named(name, i), ferry.Direct("tri://"+address), ferry.Param("timeout", "20s"))
	require.NoError(t, err)
	return ref
}

// TestGRPCServer: the same cases the other way round.
func TestGRPCServer(t *gotesting.T) {
	both(t, func(t *gotesting.T, config *tls.Config) {
		address := server(t, config)
		in := consumer(t, config, address, serviceName, testing.TestServiceService)
		c := testing.NewTestService(in)
		t.Run("empty_unary", func(t *gotesting.T) {
			r, err := c.EmptyCall(t.Context(), &testing.Empty{})
			require.NoError(t, err)
			require.NotNil(t, r)
		})
		t.Run("large_unary", func(t *gotesting.T) { largeUnary(t, c) })
		t.Run("status_code_and_message", func(t *gotesting.T) { statusCases(t, c, "test status message") })
		t.Run("special_status_message", func(t *gotesting.T) {
			statusCases(t, c, "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n")
		})
		t.Run("custom_metadata", func(t *gotesting.T) { customMetadata(t, in) })
		t.Run("timeout_on_sleeping_server", func(t *gotesting.T) { timeoutOnSleepingServer(t, c) })
		t.Run("unimplemented_method", func(t *gotesting.T) {
			unimplemented(t, testing.NewUnimplementedCalls(consumer(t, config, address, serviceName, testing.UnimplementedCallsService)))
		})
		t.Run("unimplemented_service", func(t *gotesting.T) {
			unimplemented(t, testing.NewUnimplementedCalls(consumer(t, config, address, "grpc.testing.UnimplementedService", testing.UnimplementedCallsService)))
		})
		t.Run("client_streaming", func(t *gotesting.T) { clientStreaming(t, c) })
		t.Run("server_streaming", func(t *gotesting.T) { serverStreaming(t, c) })
		t.Run("ping_pong", func(t *gotesting.T) { pingPong(t, c) })
		t.Run("empty_stream", func(t *gotesting.T) {
			for range c.FullDuplexCall(t.Context(), func(func(*testing.StreamingOutputCallRequest, error) bool) {}) {
				t.Error("nothing comes")
			}
		})
		t.Run("cancel_after_begin", func(t *gotesting.T) { cancelAfterBegin(t, c) })
		t.Run("cancel_after_first_response", func(t *gotesting.T) { cancelAfterFirstResponse(t, c) })
	})
}

func largeUnary(t *gotesting.T, c testing.TestService) {
	const request, response = 271828, 314159
	r, err := c.UnaryCall(t.Context(), &testing.SimpleRequest{ResponseSize: response, Payload: &testing.Payload{Body: make([]byte, request)}})
	require.NoError(t, err)
	require.Len(t, r.Payload.Body, response)
}

func statusCases(t *gotesting.T, c testing.TestService, message string) {
	want := &testing.EchoStatus{Code: int32(triple.Unknown), Message: message}
	_, err := c.UnaryCall(t.Context(), &testing.SimpleRequest{ResponseStatus: want})
	check := func(err error) {
		var s *triple.Status
		require.ErrorAs(t, err, &s)
		require.Equal(t, &triple.Status{Code: triple.Unknown, Message: message}, s)
		require.Equal(t, protocol.Application, protocol.CodeOf(err))
		require.Equal(t, protocol.Executed, protocol.OutcomeOf(err))
		require.NotContains(t, err.Error(), "\n")
	}
	check(err)
	if strings.HasPrefix(message, "\t") {
		return // the case is about a unary call
	}
	for _, err := range c.FullDuplexCall(t.Context(), one(&testing.StreamingOutputCallRequest{ResponseStatus: want})) {
		check(err)
	}
}

// one yields one message.
func one[T any](m T) func(func(T, error) bool) {
	return func(yield func(T, error) bool) { yield(m, nil) }
}

func customMetadata(t *gotesting.T, in protocol.Invoker) {
	const initial, trailing = "test_initial_metadata_value", "\x0a\x0b\x0a\x0b\x0a\x0b"
	ctx := protocol.WithAttachment(protocol.WithAttachment(t.Context(), initialKey, initial), trailingKey, trailing)
	var back protocol.Attachments
	watched := protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
		err := in.Invoke(ctx, c)
		back = c.ReplyAttachments
		return err
	})
	c := testing.NewTestService(watched)
	seen := func() {
		require.Equal(t, initial, back.Value(initialKey))
		require.Equal(t, trailing, back.Value(trailingKey))
		back = nil
	}
	_, err := c.UnaryCall(ctx, &testing.SimpleRequest{ResponseSize: 1, Payload: &testing.Payload{Body: []byte{0}}})
	require.NoError(t, err)
	seen()
	for _, err := range c.FullDuplexCall(ctx, one(&testing.StreamingOutputCallRequest{ResponseParameters: []*testing.ResponseParameters{{Size: 1}}})) {
		require.NoError(t, err)
	}
	seen()
}

func timeoutOnSleepingServer(t *gotesting.T, c testing.TestService) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	over := make(chan struct{})
	defer close(over)
	var last error
	for _, err := range c.FullDuplexCall(ctx, func(yield func(*testing.StreamingOutputCallRequest, error) bool) {
		yield(&testing.StreamingOutputCallRequest{Payload: &testing.Payload{Body: make([]byte, 27182)}}, nil)
		<-over
	}) {
		last = err
	}
	require.Contains(t, []protocol.Code{protocol.Timeout, protocol.DeadlineExceeded}, protocol.CodeOf(last), "%v", last)
	require.NotEqual(t, protocol.Executed, protocol.OutcomeOf(last))
}

func unimplemented(t *gotesting.T, c testing.UnimplementedCalls) {
	_, err := c.UnimplementedCall(t.Context(), &testing.Empty{})
	var s *triple.Status
	require.ErrorAs(t, err, &s)
	require.Equal(t, triple.Unimplemented, s.Code)
	require.Equal(t, protocol.NotStarted, protocol.OutcomeOf(err))
}

func clientStreaming(t *gotesting.T, c testing.TestService) {
	r, err := c.StreamingInputCall(t.Context(), func(yield func(*testing.StreamingInputCallRequest, error) bool) {
		for _, n := range []int{27182, 8, 1828, 45904} {
			if !yield(&testing.StreamingInputCallRequest{Payload: &testing.Payload{Body: make([]byte, n)}}, nil) {
				return
			}
		}
	})
	require.NoError(t, err)
	require.Equal(t, int32(74922), r.AggregatedPayloadSize)
}

var sizes = []int32{31415, 9, 2653, 58979}

func serverStreaming(t *gotesting.T, c testing.TestService) {
	var want []*testing.ResponseParameters
	for _, n := range sizes {
		want = append(want, &testing.ResponseParameters{Size: n})
	}
	var got []int32
	for r, err := range c.StreamingOutputCall(t.Context(), &testing.StreamingOutputCallRequest{ResponseParameters: want}) {
		require.NoError(t, err)
		got = append(got, int32(len(r.Payload.Body)))
	}
	require.Equal(t, sizes, got)
}

func pingPong(t *gotesting.T, c testing.TestService) {
	next := make(chan int32, 1)
	next <- sizes[0]
	n := 0
	for r, err := range c.FullDuplexCall(t.Context(), func(yield func(*testing.StreamingOutputCallRequest, error) bool) {
		for size := range next {
			if !yield(&testing.StreamingOutputCallRequest{ResponseParameters: []*testing.ResponseParameters{{Size: size}}}, nil) {
				return
			}
		}
	}) {
		require.NoError(t, err)
		require.Len(t, r.Payload.Body, int(sizes[n]))
		if n++; n == len(sizes) {
			close(next)
		} else {
			next <- sizes[n]
		}
	}
	require.Equal(t, len(sizes), n)
}

func cancelAfterBegin(t *gotesting.T, c testing.TestService) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := c.StreamingInputCall(ctx, func(func(*testing.StreamingInputCallRequest, error) bool) { cancel() })
	require.Equal(t, protocol.Canceled, protocol.CodeOf(err), "%v", err)
}

func cancelAfterFirstResponse(t *gotesting.T, c testing.TestService) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	over := make(chan struct{}) // the end of the requests would end the call too
	defer close(over)
	n := 0
	for _, err := range c.FullDuplexCall(ctx, func(yield func(*testing.StreamingOutputCallRequest, error) bool) {
		yield(&testing.StreamingOutputCallRequest{ResponseParameters: []*testing.ResponseParameters{{Size: 31415}}}, nil)
		<-over
	}) {
		if n++; n == 1 {
			require.NoError(t, err)
			cancel()
			continue
		}
		require.Equal(t, protocol.Canceled, protocol.CodeOf(err), "%v", err)
		require.Equal(t, protocol.OutcomeUnknown, protocol.OutcomeOf(err))
	}
	require.Equal(t, 2, n)
}
