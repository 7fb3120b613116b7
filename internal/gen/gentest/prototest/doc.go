// Package prototest is a service from a .proto file together with its generated code, called over the protobuf format
// by its tests, and held to protobuf-go.
package prototest

//go:generate go run ../../../../cmd/ferry gen chat.proto
