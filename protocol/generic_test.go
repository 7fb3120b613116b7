package protocol

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDescriptor(t *testing.T) {
	for want, types := range map[string][]string{
		"":                               nil,
		"IJSBCZFDV":                      {"int", "long", "short", "byte", "char", "boolean", "float", "double", "void"},
		"Ljava/lang/String;I":            {"java.lang.String", " int "},
		"[I[[Ljava/lang/String;":         {"int[]", "java.lang.String[][]"},
		"[Ljava/lang/String;[B":          {"[Ljava.lang.String;", "[B"},
		"Lcom/example/Outer$Inner;LInt;": {"com.example.Outer$Inner", "Int"},
		"L;":                             {""},
	} {
		require.Equal(t, want, Descriptor(types))
	}
	require.Equal(t, GenericDescriptor, Descriptor([]string{"java.lang.String", "java.lang.String[]", "java.lang.Object[]"}))
	require.Equal(t, EchoDescriptor, Descriptor([]string{"java.lang.Object"}))
}

func TestFindMethod(t *testing.T) {
	one, two, none, alone := &Method{Name: "get", Descriptor: "I"}, &Method{Name: "get", Descriptor: "J"}, &Method{Name: "get"}, &Method{Name: "put", Descriptor: "I"}
	i := &Interface{Methods: []*Method{one, two, none, alone}}
	for _, c := range []struct {
		name  string
		types []string
		want  *Method
	}{
		{"get", []string{"int"}, one},
		{"get", []string{"long"}, two},
		{"get", []string{}, none},
		{"get", nil, nil},
		{"get", []string{"short"}, nil},
		{"put", nil, alone},
		{"put", []string{"int"}, alone},
		{"put", []string{}, nil},
		{"other", nil, nil},
	} {
		require.Same(t, c.want, i.FindMethod(c.name, c.types), "%s %q", c.name, c.types)
	}
}

func TestCommonMethods(t *testing.T) {
	m := NewGenericMethod("S")
	c := m.New()
	require.Same(t, m, c.Method)
	args := c.Args.(*GenericArgs)
	*args = GenericArgs{"get", []string{"int"}, []any{1}}
	require.Equal(t, 3, args.Len())
	require.Same(t, &args.Method, args.At(0))
	require.Same(t, &args.Types, args.At(1))
	require.Same(t, &args.Args, args.At(2))
	clone := m.Clone(args).(*GenericArgs)
	require.Equal(t, args, clone)
	require.NotSame(t, args, clone)
	require.ErrorIs(t, m.Serve(t.Context(), nil, c), ErrGeneric)

	m = NewEchoMethod("S")
	c = m.New()
	c.Args.(*AnyRow).Value = "x"
	require.NoError(t, m.Serve(t.Context(), nil, c))
	require.Equal(t, "x", *c.Reply.At(0).(*any))
	require.Equal(t, &AnyRow{"x"}, m.Clone(c.Args))
	require.True(t, m.Idempotent)
}
