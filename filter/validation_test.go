package filter

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

var errNegative = errors.New("it is negative")

// amount is asked by value, order by pointer.
type amount int

func (a amount) Validate() error {
	if a < 0 {
		return errNegative
	}
	return nil
}

type order struct{ N amount }

func (o *order) Validate() error { return o.N.Validate() }

// values is a Row of pointers.
type values []any

func (v values) Len() int     { return len(v) }
func (v values) At(i int) any { return v[i] }

func TestArgumentsAreAsked(t *testing.T) {
	good, bad, text := amount(1), amount(-1), "x"
	none, fine, wrong := (*order)(nil), &order{1}, &order{-1}
	list, byName, pointers := []amount{1, -1}, map[string]*order{"a": wrong}, []*order{fine, nil, wrong}
	structs, boxed, bytes := []order{{1}, {-1}}, any(wrong), make([]byte, 10)
	nested := [][]amount{{1}, {2, -3}}
	for _, c := range []struct {
		args values
		want string
	}{
		{values{&good, &text, &none, &fine, &bytes}, ""},
		{nil, ""},
		{values{&text, &bad}, "argument 1: it is negative"},
		{values{&wrong}, "argument 0: it is negative"},
		{values{&list}, "argument 0: element 1: it is negative"},
		{values{&byName}, "argument 0: entry a: it is negative"},
		{values{&pointers}, "argument 0: element 2: it is negative"},
		{values{&structs}, "argument 0: element 1: it is negative"},
		{values{&boxed}, "argument 0: it is negative"},
		{values{&nested}, "argument 0: element 1: element 1: it is negative"},
	} {
		err := asked{}.Validate(t.Context(), &protocol.Invocation{Args: c.args})
		if c.want == "" {
			require.NoError(t, err, "%v", c.args)
			continue
		}
		require.EqualError(t, err, c.want)
		require.ErrorIs(t, err, errNegative)
	}
}

// validatorFunc makes a func a Validator.
type validatorFunc func(c *protocol.Invocation) error

func (f validatorFunc) Validate(_ context.Context, c *protocol.Invocation) error { return f(c) }

// TestValidation: what is refused reaches nobody, and the error says on which side it was refused.
func TestValidation(t *testing.T) {
	find := func(_ extension.Env, name string, _ *url.URL) (Validator, error) {
		if name != "odd" {
			return nil, extension.ErrUnknown
		}
		return validatorFunc(func(c *protocol.Invocation) error {
			if *c.Args.At(0).(*amount)%2 == 0 {
				return errors.New("it is even")
			}
			return nil
		}), nil
	}
	calls := 0
	run := func(params string, m string, n amount) error {
		f, err := NewValidation(find)(extension.Env{}, url.MustParse("x://h/S?"+params))
		require.NoError(t, err)
		c := &protocol.Invocation{Method: &protocol.Method{Service: "S", Name: m, Index: -1}, Args: values{&n}}
		return f(protocol.InvokerFunc(func(_ context.Context, c *protocol.Invocation) error {
			calls++
			require.False(t, c.Started)
			return nil
		})).Invoke(t.Context(), c)
	}
	require.NoError(t, run("validation=true", "m", 1))
	require.NoError(t, run("", "m", -1))
	require.NoError(t, run("validation=false", "m", -1))
	require.NoError(t, run("other.validation=true", "m", -1))
	require.Equal(t, 4, calls)
	for params, want := range map[string]string{"validation=true": "negative", "m.validation=true": "negative", "m.validation=odd": "even", "validation=odd&side=provider": "even"} {
		err := run(params, "m", -2)
		require.ErrorContains(t, err, want, params)
		var e *protocol.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, protocol.Application, e.Code)
		if params == "validation=odd&side=provider" {
			require.Equal(t, protocol.Executed, e.Outcome)
		} else {
			require.Equal(t, protocol.NotSent, e.Outcome)
		}
	}
	require.Equal(t, 4, calls)
	_, err := NewValidation(find)(extension.Env{}, url.MustParse("x://h/S?validation=nobody"))
	require.ErrorIs(t, err, extension.ErrUnknown)
}
