package hessian2

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/serialize"
)

type stockError struct {
	Code int32
	Item string
}

func (*stockError) Error() string         { return "no stock" }
func (*stockError) JavaClassName() string { return "com.example.StockException" }

// generatedError has a codec that was written for it.
type generatedError struct{ Code int32 }

func (e *generatedError) UnmarshalHessian2(r *Reader) error {
	fields, ok := r.Object(NewClass("com.example.GeneratedException", "code"))
	for _, f := range fields {
		if f == 0 {
			e.Code = r.Int()
		} else {
			r.Skip()
		}
	}
	if ok {
		r.EndObject()
	}
	return r.Err()
}

func TestExceptionRoundTrip(t *testing.T) {
	types := &serialize.Types{}
	require.NoError(t, types.Add("com.example.StockException", &stockError{}))
	require.NoError(t, types.Add("com.example.GeneratedException", &generatedError{}))
	s := New(types)
	for _, c := range []struct{ in, want serialize.Exception }{
		{serialize.Exception{Message: "boom"}, serialize.Exception{Class: "java.lang.RuntimeException", Message: "boom"}},
		{serialize.Exception{Class: "a.B", Message: ""}, serialize.Exception{Class: "a.B"}},
		{serialize.Exception{Message: "m", Value: &stockError{7, "shoe"}},
			serialize.Exception{Class: "com.example.StockException", Message: "m", Value: &stockError{7, "shoe"}}},
		{serialize.Exception{Class: "com.example.GeneratedException", Message: "m", Value: generatedError{9}},
			serialize.Exception{Class: "com.example.GeneratedException", Message: "m", Value: &generatedError{9}}},
		{serialize.Exception{Class: "com.example.StockException", Message: "m"},
			serialize.Exception{Class: "com.example.StockException", Message: "m", Value: &stockError{}}},
	} {
		w := s.NewWriter(nil)
		require.NoError(t, w.Write(&c.in))
		require.NoError(t, w.Write(&serialize.Exception{Class: c.want.Class, Message: "again", Value: c.in.Value}))
		w.WriteMap([]string{"dubbo", "2.0.2"})
		r := s.NewReader(w.Bytes(), serialize.Limits{})
		var got, again serialize.Exception
		require.NoError(t, r.Read(&got))
		require.Equal(t, c.want, got)
		require.NoError(t, r.Read(&again))
		require.Equal(t, "again", again.Message)
		m, err := r.ReadMap(nil)
		require.NoError(t, err)
		require.Equal(t, []string{"dubbo", "2.0.2"}, m)
		require.Zero(t, r.Rest())
	}
}

// TestExceptionForm checks what Java needs: its own field names, a typed empty stack trace, no cause.
func TestExceptionForm(t *testing.T) {
	s := New(nil)
	b, err := encode(s, &serialize.Exception{Message: "boom"})
	require.NoError(t, err)
	var v any
	_, err = decode(s, b, &v)
	require.NoError(t, err)
	require.Equal(t, object("java.lang.RuntimeException", "detailMessage", "boom", "cause", nil, "stackTrace", []any{}, "suppressedExceptions", nil), v)
	require.Contains(t, string(b), "\x70\x1c[java.lang.StackTraceElement")
}

func TestExceptionsFromJava(t *testing.T) {
	s := New(nil)
	for name, want := range map[string]serialize.Exception{
		"throwable_runtime":       {Class: "java.lang.RuntimeException", Message: "boom"},
		"throwable_throwable":     {Class: "java.lang.Throwable", Message: "boom"},
		"throwable_generic":       {Class: "com.example.BizException", Message: "no stock"}, // what the GenericException is about
		"j_throwable_cause_stack": {Class: "java.lang.RuntimeException", Message: "outer"},
		"string_cjk":              {Message: "你好"},
	} {
		for form, b := range vectorBytes(t, name) {
			var got serialize.Exception
			rest, err := decode(s, b, &got)
			require.NoError(t, err, "%s/%s", name, form)
			require.Zero(t, rest)
			require.Equal(t, want, got, "%s/%s", name, form)
		}
	}
	var got *serialize.Exception
	_, err := decode(s, []byte{'N'}, &got)
	require.NoError(t, err)
	require.Nil(t, got)
	_, err = decode(s, vectorBytes(t, "throwable_runtime")["hex"], &got)
	require.NoError(t, err)
	require.Equal(t, "boom", got.Message)
	_, err = decode(s, []byte{0x90}, new(serialize.Exception))
	require.ErrorIs(t, err, serialize.ErrMalformed)
}
