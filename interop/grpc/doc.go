// Package grpc holds tests that call between Ferry's tri protocol and grpc-go, both ways: the cases of gRPC's own
// interoperability tests.
package grpc
