package gentest_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	library "github.com/vmihailenco/msgpack/v5"

	"github.com/ferryrpc/ferry/internal/gen/gentest"
	"github.com/ferryrpc/ferry/serialize"
	"github.com/ferryrpc/ferry/serialize/hessian2"
	"github.com/ferryrpc/ferry/serialize/msgpack"
)

// exotic returns a value for every field of Exotic.
func exotic() *gentest.Exotic {
	moment, u16 := at.Truncate(time.Second), uint16(65535)
	return &gentest.Exotic{
		Audit: &gentest.Audit{By: "me", At: at}, U8: 255, U16: 65535, U32: math.MaxUint32, U64: math.MaxInt64, U: 7,
		Color: "RED", Colors: []gentest.Color{"RED", "BLUE"}, Level: 2, ByColor: map[gentest.Color]gentest.Level{"RED": 1},
		Day: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Clock: time.Date(1970, 1, 1, 23, 59, 58, 7, time.UTC), Moment: &moment, Instant: at, Took: 90 * time.Second,
		Price: "12.30", Rate: big.NewRat(5, 4), Amount: "0.001", Key: [16]byte{1, 2, 15: 3},
		Names: []string{"x", "y"}, Counts: []int32{1, -1}, Grid: [][]int64{{1}, {2, 3}}, Users: []*gentest.User{{Name: "Mia"}, nil}, Set: []string{"s"},
		Sorted: map[string]int64{"a": 1}, Days: []time.Time{time.Date(2025, 2, 3, 0, 0, 0, 0, time.UTC)}, Fixed: [3]int32{1, 2, 3},
		Any: []any{"a", true}, Anys: map[string]any{"k": "v"}, PUint: &u16, Omit: "o", OmitN: 5, OmitList: []int64{1}, OmitAt: at,
	}
}

func TestExotic(t *testing.T) {
	for name, format := range formats(t) {
		if name == "json" {
			continue // a duration and a fraction have no form there that a test could hold them to
		}
		t.Run(name, func(t *testing.T) {
			impl := &keeper{}
			l := &loopback{format: format, impl: impl}
			shop := gentest.NewShop(l)
			for _, in := range []*gentest.Exotic{exotic(), {}} {
				day := time.Date(2026, 5, 6, 0, 0, 0, 0, time.UTC)
				color, err := shop.Exotic(context.Background(), in, day, "1.50", []string{"n"}, -7)
				require.NoError(t, err)
				require.Equal(t, in.Color, color)
				got := impl.args[0].(*gentest.Exotic)
				if in.Audit == nil && got.Audit != nil {
					require.Equal(t, gentest.Audit{}, *got.Audit, "an absent embedded struct may come back empty")
					got.Audit = nil
				}
				same(t, []any{in, day, "1.50", []string{"n"}, -7}, impl.args)
				require.Equal(t, "Lcom/example/shop/Exotic;Ljava/time/LocalDate;Ljava/math/BigDecimal;[Ljava/lang/String;S", l.seen.Descriptor)
			}
		})
	}
}

// The types of gentest without their methods: reflection handles them.
type (
	plainUser    gentest.User
	plainOrder   gentest.Order
	plainScalars gentest.Scalars
	plainExotic  gentest.Exotic
	plainLine    gentest.Line
)

// reflective returns formats that know the plain types under the classes of the real ones.
func reflective(t *testing.T) (serialize.Serializer, serialize.Serializer) {
	types := new(serialize.Types)
	for class, sample := range map[string]any{"com.example.accounts.User": plainUser{}, "com.example.shop.Order": plainOrder{},
		"com.example.shop.Scalars": plainScalars{}, "com.example.shop.Exotic": plainExotic{}, "com.example.shop.Line": plainLine{}} {
		require.NoError(t, types.Add(class, sample))
	}
	return hessian2.New(types), msgpack.New(types)
}

func encode(t *testing.T, s serialize.Serializer, v any) []byte {
	t.Helper()
	w := s.Writer(nil)
	defer w.Free()
	require.NoError(t, w.Write(v))
	return w.Bytes()
}

func decode(t *testing.T, s serialize.Serializer, b []byte, into any) {
	t.Helper()
	r := s.Reader(b, serialize.Limits{})
	defer r.Free()
	require.NoError(t, r.Read(into))
	require.Zero(t, r.Rest())
}

// TestAgainstReflection: what generated code writes reflection reads, and the reverse; in hessian2 the bytes are the same.
func TestAgainstReflection(t *testing.T) {
	s := "s"
	user := gentest.User{Base: gentest.Base{ID: 1, CreatedAt: at}, Name: "n", Tags: []string{"t"}}
	scalars := gentest.Scalars{Int8: -1, Int64: 1 << 50, Float64: 2.5, PString: &s}
	o, x := order(), exotic()
	x.Audit = &gentest.Audit{By: "b", At: at}
	for i, c := range []struct{ real, plain, realZero, plainZero any }{
		{&user, (*plainUser)(&user), new(gentest.User), new(plainUser)},
		{o, (*plainOrder)(o), new(gentest.Order), new(plainOrder)},
		{&scalars, (*plainScalars)(&scalars), new(gentest.Scalars), new(plainScalars)},
		{x, (*plainExotic)(x), new(gentest.Exotic), new(plainExotic)},
		{&gentest.Line{Product: "p"}, &plainLine{Product: "p"}, new(gentest.Line), new(plainLine)},
	} {
		t.Run(fmt.Sprintf("%d_%T", i, c.real), func(t *testing.T) {
			types := new(serialize.Types)
			require.NoError(t, gentest.RegisterShopTypes(types))
			coded, reflecting := hessian2.New(types), serialize.Serializer(nil)
			reflecting, _ = reflective(t)
			one, two := encode(t, coded, c.real), encode(t, reflecting, c.plain)
			require.Equal(t, len(two), len(one), "the same form, but for the order of maps")
			decode(t, reflecting, one, c.plainZero)
			same(t, c.plain, c.plainZero)
			decode(t, coded, two, c.realZero)
			same(t, c.real, c.realZero)
		})
	}
}

// TestAgainstMsgpackLibrary holds the generated code to github.com/vmihailenco/msgpack/v5, which does not know it.
func TestAgainstMsgpackLibrary(t *testing.T) {
	coded := formats(t)["msgpack"]
	o, x := order(), exotic()
	x.Any, x.Anys = nil, nil // the library widens what is in them differently
	for _, c := range []struct{ value, fromLibrary, fromCoded any }{
		{o, new(gentest.Order), new(gentest.Order)},
		{x, new(gentest.Exotic), new(gentest.Exotic)},
		{&gentest.User{}, new(gentest.User), new(gentest.User)},
		{&gentest.Exotic{}, new(gentest.Exotic), new(gentest.Exotic)},
	} {
		t.Run(fmt.Sprintf("%T", c.value), func(t *testing.T) {
			require.NoError(t, library.NewDecoder(bytes.NewReader(encode(t, coded, c.value))).Decode(c.fromCoded))
			same(t, c.value, empty(c.fromCoded))
			b, err := library.Marshal(c.value)
			require.NoError(t, err)
			decode(t, coded, b, c.fromLibrary)
			same(t, c.value, empty(c.fromLibrary))
		})
	}
}

// empty takes away the embedded struct that reading its absent fields made.
func empty(v any) any {
	if x, ok := v.(*gentest.Exotic); ok && x.Audit != nil && *x.Audit == (gentest.Audit{}) {
		x.Audit = nil
	}
	return v
}

// TestUnknownAndMissing: a peer with other fields is no error.
func TestUnknownAndMissing(t *testing.T) {
	f := formats(t)
	newer := serialize.Object{Class: "com.example.accounts.User", Fields: []serialize.Field{
		{Name: "added", Value: map[string]any{"deep": []any{int64(1)}}}, {Name: "name", Value: "Mia"}, {Name: "later", Value: nil}}}
	var user gentest.User
	decode(t, f["hessian2"], encode(t, f["hessian2"], &newer), &user)
	require.Equal(t, gentest.User{Name: "Mia"}, user)

	user = gentest.User{}
	newer.Fields[1].Name, newer.Class = "Name", ""
	decode(t, f["msgpack"], encode(t, f["msgpack"], &newer), &user)
	require.Equal(t, gentest.User{Name: "Mia"}, user)
}

// TestShared: one pointer twice is one object in hessian2.
func TestShared(t *testing.T) {
	mia := &gentest.User{Name: "Mia"}
	mia.Friends = []*gentest.User{mia}
	var got gentest.User
	f := formats(t)["hessian2"]
	decode(t, f, encode(t, f, mia), &got)
	require.Same(t, &got, got.Friends[0])
}

// TestTruncated: every prefix of a body is an error and nothing worse.
func TestTruncated(t *testing.T) {
	for name, f := range formats(t) {
		for _, v := range []any{order(), exotic()} {
			body := encode(t, f, v)
			for n := range body {
				r := f.Reader(body[:n], serialize.Limits{})
				var err error
				if _, ok := v.(*gentest.Order); ok {
					err = r.Read(new(gentest.Order))
				} else {
					err = r.Read(new(gentest.Exotic))
				}
				r.Free()
				require.Error(t, err, "%s: %d bytes of %d", name, n, len(body))
			}
		}
	}
}

// FuzzRead: bytes from a peer never panic, whatever they are.
func FuzzRead(f *testing.F) {
	types := new(serialize.Types)
	if err := gentest.RegisterShopTypes(types); err != nil {
		f.Fatal(err)
	}
	formats := []serialize.Serializer{hessian2.New(types), msgpack.New(types)}
	for i, s := range formats {
		for _, v := range []any{order(), exotic(), &gentest.User{Name: "x"}} {
			w := s.Writer(nil)
			if err := w.Write(v); err != nil {
				f.Fatal(err)
			}
			f.Add(byte(i), w.Bytes())
		}
	}
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		s := formats[int(which)%len(formats)]
		for _, v := range []any{new(gentest.Order), new(gentest.Exotic), new(gentest.Node), gentest.ShopService.Methods[6].New().Args} {
			r := s.Reader(body, serialize.Limits{Bytes: 1 << 20})
			_ = r.Read(v)
			r.Free()
		}
	})
}

// TestMapForObject: generic calls carry maps where the service takes structs.
func TestMapForObject(t *testing.T) {
	for name, f := range formats(t) {
		var in any = map[string]any{"class": "com.example.accounts.User", "name": "Mia", "id": int64(5), "Name": "Mia", "ID": 5}
		var got *gentest.User
		err := serialize.Convert(f, serialize.Values{&in}, serialize.Values{&got}, serialize.Limits{})
		require.NoError(t, err, name)
		require.Equal(t, &gentest.User{Base: gentest.Base{ID: 5}, Name: "Mia"}, got)
		var u gentest.User
		err = serialize.Convert(f, serialize.Values{&in}, serialize.Values{&u}, serialize.Limits{})
		require.NoError(t, err, name)
		require.Equal(t, *got, u)
	}
}
