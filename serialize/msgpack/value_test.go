package msgpack

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/serializetest"
)

// TestForms pins bytes, so that a change of the wire is noticed.
func TestForms(t *testing.T) {
	s := New(serializetest.Types())
	var class any = &serializetest.Line{Item: "a", Count: 1}
	for _, c := range []struct {
		v    any
		want string
	}{
		{ptr("hi"), "\xa2hi"},
		{ptr(int64(300)), "\xcd\x01\x2c"},
		{ptr(int32(-33)), "\xd0\xdf"},
		{ptr([]byte{7}), "\xc4\x01\x07"},
		{ptr(time.Unix(1, 0)), "\xd6\xff\x00\x00\x00\x01"},
		{&line{"a", 2}, "\x82\xa4Item\xa1a\xa5Count\x02"},
		{&serializetest.Line{Item: "a", Count: 2}, "\x82\xa4Item\xa1a\xa5Count\x02"},
		{&class, "\x83\xa6@class\xb0com.example.Line\xa4Item\xa1a\xa5Count\x01"},
		{&serialize.Exception{Message: "m"}, "\x82\xa5class\xbajava.lang.RuntimeException\xa7message\xa1m"},
		{&serialize.Exception{Class: "E", Value: &line{"a", 1}}, "\x83\xa5class\xa1E\xa7message\xa0\xa5value\x82\xa4Item\xa1a\xa5Count\x01"},
		{&serialize.Object{Class: "C", Fields: []serialize.Field{{Name: "b", Value: 1}, {Name: "a"}}}, "\x83\xa6@class\xa1C\xa1b\x01\xa1a\xc0"},
		{&args{1, "x", cart{}}, "\x01\xa1x\x87\xa2id\x00\xa5price\xcb\x00\x00\x00\x00\x00\x00\x00\x00\xa5lines\xc0\xa5first\xc0\xa5stock\xc0\xa4next\xc0\xa4data\xc0"},
		{serialize.Values{ptr(true), nil, (*int32)(nil)}, "\xc3\xc0\xc0"},
	} {
		require.Equal(t, c.want, string(encode(t, s, c.v)), "%T", c.v)
	}
}

// TestAny reads values into interfaces.
func TestAny(t *testing.T) {
	s := New(serializetest.Types())
	at := time.Unix(5, 6)
	for _, c := range []struct{ in, want any }{
		{nil, nil}, {true, true}, {5, int64(5)}, {int32(-5), int64(-5)}, {uint64(math.MaxUint64), uint64(math.MaxUint64)},
		{uint64(7), int64(7)}, {float32(1.5), 1.5}, {2.0, 2.0}, {"s", "s"}, {[]byte{1}, []byte{1}}, {at, at},
		{[]string{"a"}, []any{"a"}}, {map[string]string{"a": "b"}, map[string]any{"a": "b"}},
		{map[any]any{1: "x", "y": 2}, map[any]any{int64(1): "x", "y": int64(2)}},
		{map[int32]bool{1: true}, map[any]any{int64(1): true}},
		{&serialize.Pairs{Items: []serialize.Pair{{Key: []any{1}, Value: 2}}}, &serialize.Pairs{Items: []serialize.Pair{{Key: []any{int64(1)}, Value: int64(2)}}}},
		{&serialize.Pairs{Items: []serialize.Pair{{Key: "s", Value: 1}, {Key: []byte("k"), Value: 2}}},
			&serialize.Pairs{Items: []serialize.Pair{{Key: "s", Value: int64(1)}, {Key: []byte("k"), Value: int64(2)}}}},
		{&serialize.Object{Class: "x.Y", Fields: []serialize.Field{{Name: "z", Value: "1"}, {Name: "a", Value: int64(1)}}},
			&serialize.Object{Class: "x.Y", Fields: []serialize.Field{{Name: "z", Value: "1"}, {Name: "a", Value: int64(1)}}}},
		{serializetest.NewOrder(), serializetest.NewOrder()},
		{[]any{serializetest.Line{Item: "i"}}, []any{&serializetest.Line{Item: "i"}}},
		{map[string]any{"l": &serializetest.Line{Item: "i"}}, map[string]any{"l": &serializetest.Line{Item: "i"}}},
	} {
		var out any
		require.NoError(t, decode(s, encode(t, s, &c.in), &out), "%T", c.in)
		require.Equal(t, c.want, out, "%T", c.in)
	}
	var object serialize.Object
	require.NoError(t, decode(s, encode(t, s, &line{"a", 1}), &object))
	require.Equal(t, serialize.Object{Fields: []serialize.Field{{Name: "Item", Value: "a"}, {Name: "Count", Value: int64(1)}}}, object)
}

// TestForeign reads what other writers may send: wider forms, other orders, unknown fields.
func TestForeign(t *testing.T) {
	s := New(serializetest.Types())
	read := func(src string, out any) any {
		t.Helper()
		require.NoError(t, decode(s, []byte(src), out))
		return out
	}
	require.Equal(t, ptr(int32(5)), read("\xd3\x00\x00\x00\x00\x00\x00\x00\x05", new(int32)))
	require.Equal(t, ptr("a"), read("\xdb\x00\x00\x00\x01a", new(string)))
	require.Equal(t, ptr("a"), read("\xc4\x01a", new(string)))
	require.Equal(t, ptr([]byte("a")), read("\xa1a", new([]byte)))
	require.Equal(t, ptr(2.0), read("\x02", new(float64)))
	require.Equal(t, ptr(1.5), read("\xca\x3f\xc0\x00\x00", new(float64)))
	require.True(t, read("\xb41970-01-01T00:00:07Z", new(time.Time)).(*time.Time).Equal(time.Unix(7, 0)))
	require.True(t, read("\xcd\x03\xe8", new(time.Time)).(*time.Time).Equal(time.Unix(1, 0)))
	require.Equal(t, &line{"b", 2}, read("\xdf\x00\x00\x00\x03\xa5Count\x02\xa3new\x92\x81\xa1a\xc7\x01\x05x\xc0\xa4Item\xa1b", new(line)))
	require.Equal(t, &cart{}, read("\xc0", &cart{ID: 3}))
	require.Equal(t, &serialize.Exception{Class: serializetest.ShortageClass, Value: &serializetest.Shortage{Item: "x"}},
		read("\x83\xa5value\x81\xa4Item\xa1x\xa5class\xbd"+serializetest.ShortageClass+"\xa5extra\x01", new(serialize.Exception)))
	require.Equal(t, &serialize.Exception{Class: "E"}, read("\x82\xa5class\xa1E\xa5value\x81\xa1a\x01", new(serialize.Exception)))
	require.Equal(t, &map[string]any{"@class": "Unknown"}, read("\x81\xa6@class\xa7Unknown", new(map[string]any)))
}

// TestRefused are values that do not fit their place.
func TestRefused(t *testing.T) {
	s := New(nil)
	for _, c := range []struct {
		src string
		out any
	}{
		{"\xcd\x01\x00", new(int8)}, {"\xce\x00\x01\x00\x00", new(int16)}, {"\xcf\x00\x00\x00\x01\x00\x00\x00\x00", new(int32)},
		{"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", new(int64)}, {"\xff", new(uint64)}, {"\xff", new(uint32)}, {"\xcb\x00\x00\x00\x00\x00\x00\x00\x00", new(int64)},
		{"\xa1a", new(int64)}, {"\x01", new(string)}, {"\x01", new(bool)}, {"\x90", new(map[string]string)}, {"\x80", new([]string)},
		{"\xc1", new(any)}, {"\xc1", nil}, {"\xd4\x05\x00", new(any)}, {"\xc7\x03\xff\x00\x00\x00", new(time.Time)}, {"\xa1x", new(time.Time)},
		{"\x81\x91\x01\x02", new(map[any]any)}, {"\x01", new(serialize.Exception)}, {"\x01", new(serialize.Object)}, {"\xd4\x05\x00", new(string)},
	} {
		err := decode(s, []byte(c.src), c.out)
		require.ErrorIs(t, err, serialize.ErrMalformed, "%x into %T", c.src, c.out)
		require.Regexp(t, `^msgpack: reading .* at byte \d+: `, err.Error())
	}
	require.ErrorIs(t, decode(s, []byte("\x01"), 5), serialize.ErrUnsupported)
	require.ErrorIs(t, decode(s, []byte("\x01"), "text"), serialize.ErrUnsupported)
}

// TestSticky demands that nothing is read after the first error.
func TestSticky(t *testing.T) {
	r := New(nil).NewReader([]byte("\x01\x02\x03"), serialize.Limits{})
	defer r.Free()
	require.Equal(t, int64(1), r.Int64())
	mine := errors.New("mine")
	r.Fail(mine)
	r.Fail(errors.New("later"))
	require.Zero(t, r.Int64())
	require.Zero(t, r.Float64())
	require.Zero(t, r.Uint64())
	require.Empty(t, r.String())
	require.Nil(t, r.Binary())
	require.False(t, r.Bool())
	require.False(t, r.Nil())
	require.True(t, r.Time().IsZero())
	require.Equal(t, -1, r.Field(lineFields, 0))
	n, ok := r.Array()
	require.False(t, ok)
	require.Zero(t, n)
	n, ok = r.Map()
	require.False(t, ok)
	require.False(t, r.Next(0, n+1))
	require.Nil(t, MakeSlice[int](r, 1000))
	require.Zero(t, r.Rest())
	r.Skip()
	require.Equal(t, mine, r.Err())
	require.Equal(t, mine, r.Read(new(any)))
}

// TestDeclaredLengths demands that a container which cannot be there in full is refused before anything is allocated.
func TestDeclaredLengths(t *testing.T) {
	s := New(nil)
	for _, out := range []any{new([]string), new([]any), new(any), new([]line), new([][8]int64), nil} {
		require.ErrorIs(t, decode(s, []byte("\xdc\x00\x05\x01\x01"), out), serialize.ErrTruncated, "%T", out)
	}
	for _, out := range []any{new(map[string]string), new(map[string]any), new(any), new(line), new(serialize.Object), new(serialize.Pairs), nil} {
		require.ErrorIs(t, decode(s, []byte("\xde\x00\x02\xa0\x01\xa0"), out), serialize.ErrTruncated, "%T", out)
	}
	r := s.NewReader([]byte("\xdc\x00\x05\x01\x01"), serialize.Limits{})
	defer r.Free()
	n, ok := r.Array()
	require.False(t, ok)
	require.Zero(t, n)
	require.ErrorIs(t, r.Err(), serialize.ErrTruncated)
}

// TestClassBudget draws on the budget for the classes that an input names.
func TestClassBudget(t *testing.T) {
	s := New(new(serialize.Types))
	require.NoError(t, s.types.Add("W", wide{}))
	src := append([]byte{fixArray | 15}, repeat(15, []byte("\x81\xa6@class\xa1W")...)...)
	for limit, want := range map[int]error{5000: serialize.ErrLimit, 1 << 20: nil} {
		r := s.Reader(src, serialize.Limits{Bytes: limit})
		require.ErrorIs(t, r.Read(new(any)), want)
		r.Free()
	}
}

// TestInsideContainers reads an Exception, whose value is read last, between the elements of a list.
func TestInsideContainers(t *testing.T) {
	s := New(serializetest.Types())
	in := &serialize.Exception{Class: serializetest.ShortageClass, Message: "m", Value: &serializetest.Shortage{Item: "x"}}
	w := s.NewWriter(nil)
	defer w.Free()
	w.Array(2)
	w.Array(2)
	require.NoError(t, w.Value(in))
	w.String("after")
	w.String("end")
	r := s.NewReader(w.Bytes(), serialize.Limits{Depth: 4})
	defer r.Free()
	r.Array()
	r.Array()
	var out serialize.Exception
	require.NoError(t, r.Read(&out))
	require.Equal(t, in, &out)
	require.Len(t, r.open, 2, "the list goes on")
	require.Equal(t, "after", r.String())
	require.Len(t, r.open, 1)
	require.Equal(t, "end", r.String())
	require.Empty(t, r.open)
	require.NoError(t, r.Err())
}

// TestWriterErrors names the type that cannot be written.
func TestWriterErrors(t *testing.T) {
	w := New(nil).Writer(nil)
	defer w.Free()
	err := w.Write(&struct{ C chan int }{make(chan int)})
	require.ErrorIs(t, err, serialize.ErrUnsupported)
	require.ErrorContains(t, err, "chan int")
	mine := errors.New("mine")
	require.ErrorIs(t, w.Write(&failing{mine}), mine)
	require.ErrorIs(t, w.Write(&[]failing{{mine}}), mine)
}

type failing struct{ err error }

func (f *failing) AppendMsgpack(*Writer) error { return f.err }
func (f *failing) ReadMsgpack(*Reader) error   { return f.err }
