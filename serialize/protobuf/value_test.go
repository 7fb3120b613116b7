package protobuf

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/ferryrpc/ferry/serialize"
)

func encode(t testing.TB, s *Serializer, v any) []byte {
	t.Helper()
	w := s.Writer(nil)
	defer w.Free()
	require.NoError(t, w.Write(v))
	return w.Bytes()
}

func decode(s *Serializer, src []byte, v any) error {
	r := s.Reader(src, serialize.Limits{})
	defer r.Free()
	return r.Read(v)
}

// TestForms pins bytes: they are those of dubbo-serialization-protobuf, but for zeros, which have their field here.
func TestForms(t *testing.T) {
	s := New(nil)
	for _, c := range []struct {
		v    any
		want string
	}{
		{ptr("hi"), "\x04\x0a\x02hi"}, {ptr(""), "\x02\x0a\x00"}, {nil, "\x00"}, {(*line)(nil), "\x00"}, {ptr((*string)(nil)), "\x00"},
		{ptr(int32(4)), "\x02\x08\x04"}, {ptr(int64(-1)), "\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"}, {ptr(true), "\x02\x08\x01"}, {ptr(int32(0)), "\x02\x08\x00"},
		{ptr(float32(1)), "\x05\x0d\x00\x00\x80\x3f"}, {ptr(1.0), "\x09\x09\x00\x00\x00\x00\x00\x00\xf0\x3f"}, {ptr([]byte{7}), "\x03\x0a\x01\x07"},
		{ptr(time.Unix(1, 2)), "\x04\x08\x01\x10\x02"}, {&line{"a", 2}, "\x05\x0a\x01a\x10\x02"}, {wrapperspb.Int32(300), "\x03\x08\xac\x02"},
		{&serialize.Exception{Class: "E", Message: "m"}, "\x06\x0a\x01E\x12\x01m"},
		{&serialize.Exception{Class: "E", Value: &line{"a", 2}}, "\x0c\x0a\x01E\x12\x00\x7a\x05\x0a\x01a\x10\x02"},
		{serialize.Values{ptr("a"), ptr(true)}, "\x03\x0a\x01a\x02\x08\x01"},
	} {
		require.Equal(t, c.want, string(encode(t, s, c.v)), "%T", c.v)
	}
	w := s.Writer(nil)
	defer w.Free()
	w.WriteMap([]string{"k", "v", "", "x", "odd"})
	require.Equal(t, "\x0f\x0a\x06\x0a\x01k\x12\x01v\x0a\x05\x0a\x00\x12\x01x", string(w.Bytes()))
}

// TestWrappersAgainstLibrary reads what we write with the library's delimited reader, and the reverse.
func TestWrappersAgainstLibrary(t *testing.T) {
	s := New(nil)
	for _, c := range []struct {
		v, out any
		m      proto.Message
	}{
		{ptr("漢\xff"), new(string), wrapperspb.String("漢\ufffd")}, {ptr(int32(math.MinInt32)), new(int32), wrapperspb.Int32(math.MinInt32)},
		{ptr(int64(math.MaxInt64)), new(int64), wrapperspb.Int64(math.MaxInt64)}, {ptr(uint32(7)), new(uint32), wrapperspb.UInt32(7)},
		{ptr(uint64(math.MaxUint64)), new(uint64), wrapperspb.UInt64(math.MaxUint64)}, {ptr(float32(-0.5)), new(float32), wrapperspb.Float(-0.5)},
		{ptr(math.Pi), new(float64), wrapperspb.Double(math.Pi)}, {ptr(true), new(bool), wrapperspb.Bool(true)}, {ptr([]byte("b")), new([]byte), wrapperspb.Bytes([]byte("b"))},
		{ptr(time.Unix(-5, 7)), new(time.Time), timestamppb.New(time.Unix(-5, 7))},
	} {
		got := c.m.ProtoReflect().New().Interface()
		require.NoError(t, protodelim.UnmarshalFrom(bytes.NewReader(encode(t, s, c.v)), got))
		require.True(t, proto.Equal(c.m, got), "%v and %v", c.m, got)
		var theirs bytes.Buffer
		_, err := protodelim.MarshalTo(&theirs, c.m)
		require.NoError(t, err)
		require.NoError(t, decode(s, theirs.Bytes(), c.out))
		require.Equal(t, encode(t, s, c.v), encode(t, s, c.out))
	}
	// A Java peer leaves zeros out: an empty message is the zero value, too.
	out := "old"
	require.NoError(t, decode(s, []byte{0}, &out))
	require.Empty(t, out)
}

// TestExceptions reads a Java throwable with stack trace and cause, and the fields of a registered error.
func TestExceptions(t *testing.T) {
	types := new(serialize.Types)
	require.NoError(t, types.Add("com.example.Short", line{}))
	require.NoError(t, types.Add("com.example.Proto", wrapperspb.StringValue{}))
	require.NoError(t, types.Add("com.example.Plain", struct{ A int }{}))
	s := New(types)
	var out serialize.Exception
	java := item([]byte("\x0a\x01E\x12\x01m\x1a\x05\x0a\x03a.B\x1a\x00\x22\x03\x0a\x01C"))
	require.NoError(t, decode(s, java, &out))
	require.Equal(t, serialize.Exception{Class: "E", Message: "m"}, out)
	in := serialize.Exception{Class: "com.example.Short", Message: "short of x", Value: &line{"x", 3}}
	require.NoError(t, decode(s, encode(t, s, &in), &out))
	require.Equal(t, in, out)
	require.NoError(t, decode(New(nil), encode(t, s, &in), &out))
	require.Equal(t, serialize.Exception{Class: in.Class, Message: in.Message}, out)
	in = serialize.Exception{Class: "com.example.Proto", Value: wrapperspb.String("v")}
	require.NoError(t, decode(s, encode(t, s, &in), &out))
	require.True(t, proto.Equal(wrapperspb.String("v"), out.Value.(proto.Message)))
	in = serialize.Exception{Class: "com.example.Plain", Value: &struct{ A int }{5}}
	require.NoError(t, decode(s, encode(t, s, &in), &out))
	require.Equal(t, &struct{ A int }{}, out.Value, "fields that are no message stay behind")
	pointer := new(*serialize.Exception)
	require.NoError(t, decode(s, encode(t, s, &in), pointer))
	require.Equal(t, "com.example.Plain", (*pointer).Class)
}

// TestReplaces demands that a target loses what it held, as a pooled message must.
func TestReplaces(t *testing.T) {
	s := New(nil)
	m := newStruct(t)
	require.NoError(t, decode(s, encode(t, s, &structpb.Struct{}), m))
	require.Empty(t, m.GetFields())
	l := &line{"old", 1}
	require.NoError(t, decode(s, encode(t, s, &line{Count: 2}), l))
	require.Equal(t, &line{Count: 2}, l)
}

// TestUnsupported names the types that have no form.
func TestUnsupported(t *testing.T) {
	s := New(nil)
	for _, v := range []any{&struct{ A int }{1}, &[]string{"a"}, &map[string]string{}, new(any), &serialize.Object{}, &serialize.Pairs{}, "text", 5, ptr(ptr([]int{1}))} {
		w := s.Writer(nil)
		err := w.Write(v)
		require.ErrorIs(t, err, serialize.ErrUnsupported, "%T", v)
		w.Free()
		err = decode(s, []byte{0}, v)
		require.ErrorIs(t, err, serialize.ErrUnsupported, "%T", v)
	}
	err := decode(s, []byte{0}, &[]string{"a"})
	require.ErrorContains(t, err, "*[]string")
	w := s.Writer(nil)
	defer w.Free()
	mine := errors.New("mine")
	require.ErrorIs(t, w.Write(&failing{mine}), mine)
	require.ErrorIs(t, w.Write(wrapperspb.String("\xff")), serialize.ErrUnsupported, "the library refuses invalid UTF-8")
}

type failing struct{ err error }

func (f *failing) AppendProto(b []byte) ([]byte, error) { return b, f.err }

// TestRefused are items that are no message, or not the right one.
func TestRefused(t *testing.T) {
	s := New(nil)
	for _, c := range []struct {
		src string
		out any
	}{
		{"\x02\x08\x01", new(string)}, {"\x03\x0a\x01a", new(int32)}, {"\x02\x08\x01", new(float64)}, {"\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", new(uint32)},
		{"\x04\x08\xff\xff\x03", new(int8)}, {"\x06\x08\xff\xff\xff\xff\x0f", new(int32)}, {"\x02\x0a\x05", new(string)}, {"\x01\x0b", new(string)}, {"\x01\x0f", new(string)},
		{"\x01\x00", new(string)}, {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", nil}, {"\x03\x0a\x01\xff", new(wrapperspb.StringValue)}, {"\x02\x0d\x01", new(line)},
		{"\x02\x0a\x05", new(serialize.Exception)}, {"\x02\x08", new(line)}, {"\x02\x0a\x05", new(time.Time)},
	} {
		err := decode(s, []byte(c.src), c.out)
		require.True(t, errors.Is(err, serialize.ErrMalformed) || errors.Is(err, serialize.ErrTruncated), "%x into %T: %v", c.src, c.out, err)
		require.Regexp(t, `^protobuf: reading .* at byte \d+: `, err.Error())
	}
	r := s.Reader([]byte("\x02\x0a\x05\x02\x08\x01"), serialize.Limits{})
	defer r.Free()
	_, err := r.ReadMap(nil)
	require.ErrorIs(t, err, serialize.ErrMalformed)
	require.Equal(t, err, r.Read(new(bool)), "errors are sticky")
	require.Equal(t, err, r.SkipString())
}

// TestLimits draws on the budget for messages, which the library decodes without one.
func TestLimits(t *testing.T) {
	s := New(nil)
	limited := func(v any, l serialize.Limits, out any) error {
		r := s.Reader(encode(t, s, v), l)
		defer r.Free()
		return r.Read(out)
	}
	tree := structpb.NewStringValue("inside")
	for range 10 {
		tree = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{tree}})
	}
	require.ErrorIs(t, limited(tree, serialize.Limits{Depth: 10}, new(structpb.Value)), serialize.ErrLimit)
	require.NoError(t, limited(tree, serialize.Limits{Depth: 40}, new(structpb.Value)))
	list := &structpb.ListValue{Values: make([]*structpb.Value, 1000)}
	for i := range list.Values {
		list.Values[i] = structpb.NewNullValue()
	}
	require.ErrorIs(t, limited(list, serialize.Limits{Elements: 500}, new(structpb.ListValue)), serialize.ErrLimit)
	require.ErrorIs(t, limited(list, serialize.Limits{Bytes: 50000}, new(structpb.ListValue)), serialize.ErrLimit)
	require.NoError(t, limited(list, serialize.Limits{Elements: 3000, Bytes: 1 << 20}, new(structpb.ListValue)))
	file := &descriptorpb.FileDescriptorProto{PublicDependency: make([]int32, 1000)} // two bytes each, not packed
	require.ErrorIs(t, limited(file, serialize.Limits{Elements: 999}, new(descriptorpb.FileDescriptorProto)), serialize.ErrLimit)
	require.NoError(t, limited(file, serialize.Limits{Elements: 1000}, new(descriptorpb.FileDescriptorProto)))
	info := &descriptorpb.SourceCodeInfo{Location: []*descriptorpb.SourceCodeInfo_Location{{Path: make([]int32, 1000)}}} // packed
	require.ErrorIs(t, limited(info, serialize.Limits{Elements: 900}, new(descriptorpb.SourceCodeInfo)), serialize.ErrLimit)
	require.NoError(t, limited(info, serialize.Limits{Elements: 1001}, new(descriptorpb.SourceCodeInfo)))
	w := s.Writer(nil)
	defer w.Free()
	w.WriteMap(make([]string, 200))
	r := s.Reader(w.Bytes(), serialize.Limits{Elements: 99})
	defer r.Free()
	_, err := r.ReadMap(nil)
	require.ErrorIs(t, err, serialize.ErrLimit)
}

// TestAllocations holds the call path to its numbers.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		return // the race detector allocates on its own account
	}
	s := New(nil)
	generated, message, flag := &line{"a name", 7}, wrapperspb.Bytes(make([]byte, 200)), int32(4)
	var row any = serialize.Values{generated, message, &flag}
	pairs := []string{"group", "a", "version", "1.0.0"}
	buf := make([]byte, 0, 1024)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		w := s.Writer(buf)
		w.WriteString("com.example.Greeter")
		_ = w.Write(row)
		w.WriteMap(pairs)
		w.Free()
	}))
	src := encode(t, s, row)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		r := s.Reader(src, serialize.Limits{})
		_ = r.Read(row)
		r.Free()
	}), 2.0, "a name and the bytes")
}

// FuzzReader reads arbitrary bytes into everything that there is a way for.
func FuzzReader(f *testing.F) {
	types := new(serialize.Types)
	require.NoError(f, types.Add("com.example.Short", line{}))
	s := New(types)
	for _, v := range []any{newFile(), newStruct(f), &line{"a", 1}, ptr("text"), ptr(int64(-1)), ptr(1.5), ptr(time.Unix(1, 2)),
		&serialize.Exception{Class: "com.example.Short", Message: "m", Value: &line{"x", 3}}} {
		f.Add(encode(f, s, v))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		for _, out := range []any{nil, new(string), new(*string), new(int8), new(*int64), new(uint64), new(bool), new(float32), new(float64), new([]byte), new(time.Time),
			new(line), new(*line), new(structpb.Struct), new(*structpb.Value), new(descriptorpb.FileDescriptorProto), new(serialize.Exception)} {
			r := s.Reader(src, serialize.Limits{Bytes: 1 << 16, Elements: 1 << 10, Depth: 16})
			err := r.Read(out)
			r.Free()
			known := errors.Is(err, serialize.ErrTruncated) || errors.Is(err, serialize.ErrMalformed) || errors.Is(err, serialize.ErrLimit)
			require.True(t, err == nil || known, "%T: %v", out, err)
		}
		r := s.Reader(src, serialize.Limits{Bytes: 1 << 16})
		_, _ = r.ReadMap(nil)
		r.Free()
	})
}
