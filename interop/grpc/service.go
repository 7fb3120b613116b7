package grpc

import (
	"context"
	"iter"
	"time"

	"github.com/ferryrpc/ferry/interop/grpc/testing"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/protocol/triple"
)

// Headers that the test service sends back, one ahead of the answer and one behind.
const (
	initialKey  = "x-grpc-test-echo-initial"
	trailingKey = "x-grpc-test-echo-trailing-bin"
)

// service is the test service as a Ferry provider.
type service struct{}

var _ testing.TestService = service{}

func echoMetadata(ctx context.Context) {
	in := protocol.IncomingAttachments(ctx)
	if v, ok := in.Get(initialKey); ok {
		triple.SetHeader(ctx, initialKey, v)
	}
	if v, ok := in.Get(trailingKey); ok {
		protocol.SetReplyAttachment(ctx, trailingKey, v)
	}
}

func status(s *testing.EchoStatus) error {
	if s == nil || s.Code == 0 {
		return nil
	}
	return &triple.Status{Code: triple.Code(s.Code), Message: s.Message}
}

// EmptyCall implements testing.TestService.
func (service) EmptyCall(context.Context, *testing.Empty) (*testing.Empty, error) {
	return &testing.Empty{}, nil
}

// UnaryCall implements testing.TestService.
func (service) UnaryCall(ctx context.Context, in *testing.SimpleRequest) (*testing.SimpleResponse, error) {
	echoMetadata(ctx)
	if err := status(in.ResponseStatus); err != nil {
		return nil, err
	}
	return &testing.SimpleResponse{Payload: &testing.Payload{Body: make([]byte, in.ResponseSize)}}, nil
}

// replies sends what a request asks for.
func replies(ctx context.Context, in *testing.StreamingOutputCallRequest, yield func(*testing.StreamingOutputCallResponse, error) bool) bool {
	if err := status(in.ResponseStatus); err != nil {
		yield(nil, err)
		return false
	}
	for _, p := range in.ResponseParameters {
		if p.IntervalUs > 0 {
			select {
			case <-time.After(time.Duration(p.IntervalUs) * time.Microsecond):
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return false
			}
		}
		if !yield(&testing.StreamingOutputCallResponse{Payload: &testing.Payload{Body: make([]byte, p.Size)}}, nil) {
			return false
		}
	}
	return true
}

// StreamingOutputCall implements testing.TestService.
func (service) StreamingOutputCall(ctx context.Context, in *testing.StreamingOutputCallRequest) iter.Seq2[*testing.StreamingOutputCallResponse, error] {
	return func(yield func(*testing.StreamingOutputCallResponse, error) bool) { replies(ctx, in, yield) }
}

// StreamingInputCall implements testing.TestService.
func (service) StreamingInputCall(_ context.Context, in iter.Seq2[*testing.StreamingInputCallRequest, error]) (*testing.StreamingInputCallResponse, error) {
	var sum int32
	for m, err := range in {
		if err != nil {
			return nil, err
		}
		sum += int32(len(m.GetPayload().GetBody()))
	}
	return &testing.StreamingInputCallResponse{AggregatedPayloadSize: sum}, nil
}

// FullDuplexCall implements testing.TestService.
func (service) FullDuplexCall(ctx context.Context, in iter.Seq2[*testing.StreamingOutputCallRequest, error]) iter.Seq2[*testing.StreamingOutputCallResponse, error] {
	echoMetadata(ctx)
	return func(yield func(*testing.StreamingOutputCallResponse, error) bool) {
		for m, err := range in {
			if err != nil {
				yield(nil, err)
				return
			}
			if !replies(ctx, m, yield) {
				return
			}
		}
	}
}

// named is a service under the name that gRPC's tests call it by.
func named(name string, i *protocol.Interface) *protocol.Interface {
	return &protocol.Interface{Name: name, Methods: i.Methods}
}
