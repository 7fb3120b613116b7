package extension

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

type closing struct {
	name  string
	order *[]string
}

func (c *closing) Close() error {
	*c.order = append(*c.order, c.name)
	return errors.New(c.name)
}

func TestKeptOpensOnceAndClosesBackwards(t *testing.T) {
	var k Kept
	var order []string
	for _, name := range []string{"a", "b", "a"} {
		v, err := k.Open(name, func() (any, error) { return &closing{name, &order}, nil })
		require.NoError(t, err)
		require.Equal(t, name, v.(*closing).name)
	}
	_, err := k.Open("c", func() (any, error) { return nil, errors.New("not there") })
	require.EqualError(t, err, "not there")
	require.EqualError(t, k.Close(), "b\na")
	require.Equal(t, []string{"b", "a"}, order)
	_, err = k.Open("a", func() (any, error) { return 1, nil })
	require.ErrorIs(t, err, ErrClosed)
	v, err := (*Kept)(nil).Open("a", func() (any, error) { return 1, nil })
	require.NoError(t, err)
	require.Equal(t, 1, v)
}
