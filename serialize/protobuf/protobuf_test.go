package protobuf

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/ferryrpc/ferry/serialize/serializetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ptr[T any](v T) *T { return &v }

func newStruct(t testing.TB) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(map[string]any{"name": "安", "list": []any{1.0, "two", nil, true}, "inner": map[string]any{"a": "b"}})
	require.NoError(t, err)
	return s
}

func newFile() *descriptorpb.FileDescriptorProto {
	return &descriptorpb.FileDescriptorProto{
		Name: ptr("a.proto"), Package: ptr("example"), Dependency: []string{"b.proto", "c.proto"}, PublicDependency: []int32{0, 1},
		MessageType: []*descriptorpb.DescriptorProto{{
			Name:       ptr("M"),
			Field:      []*descriptorpb.FieldDescriptorProto{{Name: ptr("f"), Number: ptr(int32(1)), Type: descriptorpb.FieldDescriptorProto_TYPE_INT64.Enum()}},
			NestedType: []*descriptorpb.DescriptorProto{{Name: ptr("N")}},
		}},
		Options: &descriptorpb.FileOptions{Deprecated: ptr(true)},
	}
}

// sameMessage compares messages, or pointers to pointers to them, by content.
func sameMessage(t *testing.T, in, out any) {
	t.Helper()
	require.True(t, proto.Equal(messageOf(in), messageOf(out)), "wrote %v, read %v", in, out)
}

func messageOf(v any) proto.Message {
	switch v := v.(type) {
	case **structpb.Struct:
		return *v
	case **durationpb.Duration:
		return *v
	}
	return v.(proto.Message)
}

func messages(t testing.TB) []serializetest.Value {
	tree := newStruct(t)
	return []serializetest.Value{
		{Name: "struct", In: tree, Out: func() any { return new(structpb.Struct) }, Equal: sameMessage},
		{Name: "pointer to struct", In: &tree, Out: func() any { return new(*structpb.Struct) }, Equal: sameMessage},
		{Name: "pointer to an empty message", In: ptr(&durationpb.Duration{}), Out: func() any { return new(*durationpb.Duration) }, Equal: sameMessage},
		{Name: "wrapper", In: wrapperspb.String("x"), Out: func() any { return new(wrapperspb.StringValue) }, Equal: sameMessage},
		{Name: "timestamp", In: timestamppb.New(time.UnixMilli(1700000000123)), Out: func() any { return new(timestamppb.Timestamp) }, Equal: sameMessage},
		{Name: "field mask", In: &fieldmaskpb.FieldMask{Paths: []string{"a.b", "c"}}, Out: func() any { return new(fieldmaskpb.FieldMask) }, Equal: sameMessage},
		{Name: "descriptor", In: newFile(), Out: func() any { return new(descriptorpb.FileDescriptorProto) }, Equal: sameMessage},
		{Name: "long message", In: wrapperspb.Bytes(bytes.Repeat([]byte("x"), 70000)), Out: func() any { return new(wrapperspb.BytesValue) }, Equal: sameMessage},
		{Name: "generated", In: &line{"bolt", 3}, Out: func() any { return new(line) }},
		{Name: "generated empty", In: &line{}, Out: func() any { return new(line) }},
		{Name: "generated long", In: &line{strings.Repeat("x", 20000), 3}, Out: func() any { return new(line) }},
		{Name: "generated pointer", In: ptr(&line{strings.Repeat("x", 127), -1}), Out: func() any { return new(*line) }},
		{Name: "uint64", In: ptr(uint64(1<<64 - 1)), Out: func() any { return new(uint64) }},
		{Name: "uint32", In: ptr(uint32(1<<32 - 1)), Out: func() any { return new(uint32) }},
	}
}

func TestConformance(t *testing.T) {
	// field 4 of a FileDescriptorProto is a message of its own: two bytes on the wire, 200 here.
	empty := bytes.Repeat([]byte{4<<3 | 2, 0}, 1<<17)
	nest := []byte{}
	for range 3000 { // Value{list_value: ListValue{values: …}}
		nest = delimit(6<<3|2, delimit(1<<3|2, nest))
	}
	serializetest.Run(t, New(serializetest.Types()), serializetest.Options{
		NoStructs: true, NoTypedErrors: true, Values: messages(t),
		Hostile: []serializetest.Hostile{
			{Name: "length", Input: append([]byte{0xff, 0xff, 0xff, 0xff, 0x07}, make([]byte, 64)...), Out: func() any { return new(string) }},
			{Name: "length of 64 bits", Input: append(bytes.Repeat([]byte{0xff}, 9), 1, 0, 0), Out: func() any { return new([]byte) }},
			{Name: "inner length", Input: []byte{7, tagBytes1, 0xff, 0xff, 0xff, 0xff, 0x07, 0}, Out: func() any { return new(string) }},
			{Name: "empty messages", Input: item(empty), Out: func() any { return new(descriptorpb.FileDescriptorProto) }},
			{Name: "nesting", Input: item(nest), Out: func() any { return new(structpb.Value) }},
			{Name: "map entries", Input: item(bytes.Repeat([]byte{tagBytes1, 0}, 1<<16)), Out: func() any { return new(structpb.Struct) }},
		},
	})
}
