package protocol

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type values []any

func (v values) Len() int     { return len(v) }
func (v values) At(i int) any { return v[i] }

type customer struct {
	ID   int64
	Name string
}

type order struct {
	OrderID  string
	Customer *customer
	Extra    map[string]any
	Pair     [2]int
	secret   string
}

func TestArgPath(t *testing.T) {
	name, n := "apple", int64(-7)
	o := &order{OrderID: "o1", Customer: &customer{ID: 9, Name: "ann"}, Extra: map[string]any{"k": true, "nil": nil}, secret: "x"}
	args := values{&name, &n, o, &o}
	for path, want := range map[string]string{"0": "apple", "1": "-7", "2.orderId": "o1", "2.OrderID": "o1", "3.customer.id": "9", "2.Customer.name": "ann",
		"2.extra.k": "true"} {
		p, err := ParseArgPath(path)
		require.NoError(t, err, path)
		require.Equal(t, path, p.String())
		got, err := p.Text(args)
		require.NoError(t, err, path)
		require.Equal(t, want, got)
	}
	for _, path := range []string{"4", "2", "2.secret", "2.nobody", "2.extra.nil", "2.extra.none", "2.pair", "0.x", "2.customer.id.x"} {
		p, err := ParseArgPath(path)
		require.NoError(t, err, path)
		_, err = p.Text(args)
		require.ErrorContains(t, err, "argument path "+path)
	}
	o.Customer = nil
	p, err := ParseArgPath("2.customer.id")
	require.NoError(t, err)
	_, err = p.Text(args)
	require.Error(t, err)
	_, err = p.Text(nil)
	require.Error(t, err)
	for _, path := range []string{"", "x", "-1", "256", "0.", "0..a", ".a", "0." + strings.Repeat("a", 300)} {
		_, err := ParseArgPath(path)
		require.Error(t, err, path)
	}
}
