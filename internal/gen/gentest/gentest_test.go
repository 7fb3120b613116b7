package gentest_test

import (
	"context"
	"errors"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/gen/gentest"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

var at = time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)

func order() *gentest.Order {
	mia := &gentest.User{Base: gentest.Base{ID: 7, CreatedAt: at}, Name: "Mia", Email: "m@x", Tags: []string{"a", ""}}
	line := &gentest.Line{Product: "tea", Quantity: 2, Price: 3.5}
	shipped := at.Add(time.Hour)
	return &gentest.Order{
		Base: gentest.Base{ID: 1 << 40, CreatedAt: at}, URLPath: "/x", State: 3, Buyer: mia, Owner: *mia,
		Lines: []gentest.Line{*line, {Product: "Ünïcode 😀"}}, ByName: map[string]*gentest.Line{"tea": line, "nil": nil},
		Scores: map[int32][]float64{1: {1, 2.5}, -2: nil, 3: {}}, Labels: gentest.Labels{"k": "v"}, Raw: []byte{0, 255},
		Total: new(big.Int).Exp(big.NewInt(-10), big.NewInt(31), nil), Shipped: &shipped, Duration: time.Second, Weights: []float32{0.5, math.MaxFloat32},
		Flags: []bool{true, false}, Nested: [][]int32{{1}, nil, {}},
	}
}

func TestScalars(t *testing.T) {
	each(t, func(t *testing.T, shop gentest.Shop, _ *keeper, l *loopback) {
		got, err := shop.Scalars(context.Background(), true, math.MinInt8, math.MaxInt16, math.MinInt32, math.MaxInt64, math.MinInt64, 0.1, -math.MaxFloat64, "s")
		require.NoError(t, err)
		yes, i32, i64, f64, s := true, int32(math.MinInt32), int64(math.MinInt64), -math.MaxFloat64, "s"
		require.Equal(t, &gentest.Scalars{Bool: true, Int8: math.MinInt8, Int16: math.MaxInt16, Int32: math.MinInt32, Int: math.MaxInt64, Int64: math.MinInt64,
			Float32: 0.1, Float64: -math.MaxFloat64, String: "s", PBool: &yes, PInt32: &i32, PInt64: &i64, PFloat: &f64, PString: &s}, got)
		require.Equal(t, "ZBSIJJFDLjava/lang/String;", l.seen.Descriptor)
	})
}

func TestOrder(t *testing.T) {
	each(t, func(t *testing.T, shop gentest.Shop, impl *keeper, l *loopback) {
		in := order()
		got, err := shop.Place(context.Background(), in, true)
		require.NoError(t, err)
		same(t, in, got)
		require.NotSame(t, in, got)
		same(t, []any{true}, impl.args)
		got, err = shop.Place(context.Background(), nil, false)
		require.NoError(t, err)
		require.Nil(t, got)
		got, err = shop.Place(context.Background(), &gentest.Order{}, false)
		require.NoError(t, err)
		require.Equal(t, &gentest.Order{}, got)
	})
}

func TestCollections(t *testing.T) {
	each(t, func(t *testing.T, shop gentest.Shop, impl *keeper, _ *loopback) {
		found, err := shop.Find(context.Background(), []int64{1, -1, 1 << 60}, map[string]string{"a": "b"})
		require.NoError(t, err)
		require.Equal(t, map[string]*gentest.Order{"a": {URLPath: "x"}, "none": nil}, found)
		same(t, []any{[]int64{1, -1, 1 << 60}, map[string]string{"a": "b"}}, impl.args)

		rows := [][]float64{{1, 2}, nil, {}}
		index := map[int32][]string{5: {"five"}, 6: nil}
		byUser := []map[string]gentest.User{{"mia": {Name: "Mia", Friends: []*gentest.User{{Name: "Bo"}, nil}}}, nil}
		got, err := shop.Matrix(context.Background(), rows, index, byUser)
		require.NoError(t, err)
		require.Equal(t, rows, got)
		same(t, []any{index, byUser}, impl.args)
	})
}

func TestBlob(t *testing.T) {
	each(t, func(t *testing.T, shop gentest.Shop, impl *keeper, _ *loopback) {
		n := big.NewInt(-12345678901234567)
		got, err := shop.Blob(context.Background(), []byte("raw"), at, n)
		require.NoError(t, err)
		require.Equal(t, []byte("raw"), got)
		same(t, []any{at, n}, impl.args)
		got, err = shop.Blob(context.Background(), nil, time.Time{}, nil)
		require.NoError(t, err)
		require.Nil(t, got)
		same(t, []any{time.Time{}, (*big.Int)(nil)}, impl.args)
	})
}

func TestOptional(t *testing.T) {
	each(t, func(t *testing.T, shop gentest.Shop, impl *keeper, _ *loopback) {
		n, s, when := int32(5), "", at
		got, err := shop.Optional(context.Background(), &n, &s, &when)
		require.NoError(t, err)
		require.True(t, *got)
		same(t, []any{&n, &s, &when}, impl.args)
		got, err = shop.Optional(context.Background(), nil, nil, nil)
		require.NoError(t, err)
		require.Nil(t, got)
	})
}

func TestAny(t *testing.T) {
	each(t, func(t *testing.T, shop gentest.Shop, _ *keeper, _ *loopback) {
		for _, v := range []any{nil, "text", true, int64(5), 2.5, []any{"a", nil}, &gentest.Line{Product: "tea", Quantity: 1}} {
			got, err := shop.Echo(context.Background(), v)
			require.NoError(t, err)
			require.EqualValues(t, v, got)
		}
	})
}

func TestOverloadsAndOneWay(t *testing.T) {
	each(t, func(t *testing.T, shop gentest.Shop, impl *keeper, l *loopback) {
		ctx := context.Background()
		require.NoError(t, shop.Cancel(ctx, 9, "late"))
		same(t, []any{int64(9), "late"}, impl.args)
		require.Equal(t, "cancel", l.seen.Name)
		require.Equal(t, "ILjava/lang/String;", l.seen.Descriptor)
		n, err := shop.CancelAll(ctx, []int64{1, 2})
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Equal(t, "cancel", l.seen.Name)
		require.Equal(t, "Ljava/util/List;", l.seen.Descriptor)
		require.NoError(t, shop.Log(ctx, gentest.Event{Name: "e", At: at, Attr: map[string]any{"k": "v"}}))
		require.Equal(t, protocol.OneWay, l.seen.Kind)
		same(t, []any{gentest.Event{Name: "e", At: at, Attr: map[string]any{"k": "v"}}}, impl.args)
		require.NoError(t, shop.Ping(ctx))
		same(t, []any{"ping"}, impl.args)
	})
}

// TestTree: a cyclic graph keeps its shape in hessian2; the other formats refuse it without running away.
func TestTree(t *testing.T) {
	each(t, func(t *testing.T, shop gentest.Shop, _ *keeper, l *loopback) {
		root, err := shop.Tree(context.Background(), 2)
		if l.format.ID() != serialize.Hessian2ID {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Len(t, root.Children, 2)
		require.Same(t, root, root.Children[1].Parent)
	})
}

func TestErrors(t *testing.T) {
	each(t, func(t *testing.T, shop gentest.Shop, impl *keeper, _ *loopback) {
		impl.err = errors.New("no luck")
		got, err := shop.Greet(context.Background(), "x")
		require.EqualError(t, err, "no luck")
		require.Empty(t, got)
		impl.err = &gentest.OutOfStock{Message: "gone", Product: "tea", Left: 3}
		_, err = shop.Greet(context.Background(), "x")
		var typed *gentest.OutOfStock
		require.ErrorAs(t, err, &typed)
		require.Equal(t, &gentest.OutOfStock{Message: "gone", Product: "tea", Left: 3}, typed)
	})
}

// TestOverflow: a Go number that the Java type of the directive cannot hold is an error, not another number.
func TestOverflow(t *testing.T) {
	l := &loopback{format: formats(t)["hessian2"], impl: &keeper{}}
	shop := gentest.NewShop(l)
	err := shop.Cancel(context.Background(), 1<<40, "")
	require.ErrorIs(t, err, serialize.ErrUnsupported)
	require.ErrorContains(t, err, "1099511627776, which is no Java int")
	_, err = shop.Exotic(context.Background(), &gentest.Exotic{U64: math.MaxUint64}, at, "", nil, 0)
	require.ErrorContains(t, err, "18446744073709551615, which is beyond a Java long")
	_, err = shop.Exotic(context.Background(), &gentest.Exotic{}, at, "", nil, math.MaxInt16+1)
	require.ErrorContains(t, err, "32768, which is no Java short")
}

func TestService(t *testing.T) {
	require.Equal(t, "com.example.shop.Shop", gentest.ShopService.Name)
	seen := map[string]bool{}
	for i, m := range gentest.ShopService.Methods {
		require.Equal(t, i, m.Index)
		require.Equal(t, gentest.ShopService.Name, m.Service)
		require.False(t, seen[m.Name+m.Descriptor])
		seen[m.Name+m.Descriptor] = true
		c := m.New()
		require.Same(t, m, c.Method)
		require.NotEmpty(t, m.Return)
		m.Free(c)
		m.Free(&protocol.Invocation{}) // not one of New's: nothing happens
		require.Error(t, m.Serve(context.Background(), "no shop", m.New()))
		if i > 0 && m.New().Args.Len() > 0 {
			require.Error(t, m.Serve(context.Background(), &keeper{}, gentest.ShopService.Methods[0].New()))
		}
	}
	greet := gentest.ShopService.Methods[0]
	require.True(t, greet.Idempotent)
	require.Equal(t, "Ljava/lang/String;", greet.Return)
	require.Equal(t, "V", gentest.ShopService.Methods[len(gentest.ShopService.Methods)-4].Return)
	require.Equal(t, "tree", gentest.ShopService.Methods[len(gentest.ShopService.Methods)-1].Name, "methods of an embedded interface come in its place")
}

func TestClone(t *testing.T) {
	var place *protocol.Method
	for _, m := range gentest.ShopService.Methods {
		if m.Name == "place" {
			place = m
		}
	}
	c := place.New()
	in := order()
	*c.Args.At(0).(**gentest.Order), *c.Args.At(1).(*bool) = in, true
	row := place.Clone(c.Args)
	place.Free(c)
	got := *row.At(0).(**gentest.Order)
	require.Equal(t, order(), got)
	require.NotSame(t, in, got)
	in.Lines[0].Product, in.ByName["tea"].Product, in.Buyer.Tags[0] = "x", "x", "x"
	in.Total.SetInt64(0)
	require.Equal(t, order(), got)
	require.Equal(t, true, *row.At(1).(*bool))
}
