// Package echo is the work that every framework of the benchmark does: a message goes to the server and comes back.
//
// Message is the small one, {id, name, payload}, whose payload has the size that a point of the benchmark names. Records
// is the one that keeps a codec busy: a list of structs of 20 fields of mixed types. The same shapes stand in echo.proto
// and echo.thrift; pb, kitexpb and kitexthrift hold what the frameworks' own generators made of these files, unchanged
// but for import paths; service.go says the same to Ferry's generator.
//
// service_ferry.go and echo_ferry.go are what "ferry gen ./echo" wrote, run in the folder above, and ferrypb what it made
// of ferryecho.proto there. pb is the work of
// protoc-gen-go, protoc-gen-go-grpc and protoc-gen-fastpb on echo.proto, kitexpb and kitexthrift that of kitex 0.12.0 (the
// latter with -thrift no_default_serdes).
//
// The frameworks that bring no code generator (net/rpc with a codec of its own, the raw connections) use codec.go.
package echo

import (
	"bytes"
	"fmt"
	"strconv"
)

// Message is one echo request, and its reply.
//
//ferry:class org.ferryrpc.bench.Message
type Message struct {
	ID      int64
	Name    string
	Payload []byte
}

// Record is a struct such as a shop keeps: 20 fields of mixed types.
//
//ferry:class org.ferryrpc.bench.Record
type Record struct {
	ID       int64
	Created  int64
	Updated  int64
	Owner    int64
	Version  int32
	Kind     int32
	Quantity int32
	Active   bool
	Hidden   bool
	Price    float64
	Weight   float64
	Score    float64
	Name     string
	Title    string
	Country  string
	Comment  string
	Digest   []byte
	Tags     []string
	Related  []int64
	Labels   map[string]string
}

// Records is a list of records, as a request and as its reply.
//
//ferry:class org.ferryrpc.bench.Records
type Records struct {
	List []Record
}

// Name is the name in every Message of the benchmark.
const Name = "benchmark-caller"

// Payload returns size bytes that do not compress to nothing and are the same in every process.
func Payload(size int) []byte {
	b := make([]byte, size)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

// Sample returns n records with different contents, the same in every process.
func Sample(n int) []Record {
	list := make([]Record, n)
	for i := range list {
		k := int64(i + 1)
		list[i] = Record{
			ID: 1_000_000_007 * k, Created: 1_700_000_000_000 + k, Updated: 1_700_000_360_000 + k, Owner: 4200 + k,
			Version: int32(k % 9), Kind: int32(k % 3), Quantity: int32(k * 25), Active: true, Hidden: i%4 == 3,
			Price: 19.99 + float64(k), Weight: 0.125 * float64(k), Score: 1 / float64(k+1),
			Name: "item-" + strconv.Itoa(i), Title: "A thing of some length, number " + strconv.Itoa(i),
			Country: "NL", Comment: "Ships within two days; kept in the third hall, row seven.",
			Digest: Payload(32), Tags: []string{"garden", "outdoor", "sale"},
			Related: []int64{k, k + 1_000, k + 1_000_000, k + 1_000_000_000},
			Labels:  map[string]string{"colour": "green", "size": "XL", "origin": "factory-" + strconv.Itoa(i%7)},
		}
	}
	return list
}

// Check returns an error unless m is the reply to the message with this id and payload. It compares all bytes of a
// short payload; of a long one its length and its ends, since a comparison of the whole would be part of what is measured.
func Check(m *Message, id int64, payload []byte) error {
	if m.ID != id || m.Name != Name || len(m.Payload) != len(payload) {
		return fmt.Errorf("echo: wrong reply: id %d, name %q and %d bytes, want id %d and %d bytes", m.ID, m.Name, len(m.Payload), id, len(payload))
	}
	n := min(len(payload), 64)
	if !bytes.Equal(m.Payload[:n], payload[:n]) || !bytes.Equal(m.Payload[len(payload)-n:], payload[len(payload)-n:]) {
		return fmt.Errorf("echo: wrong reply: the payload of message %d differs", id)
	}
	return nil
}
