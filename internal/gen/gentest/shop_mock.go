// The skeleton of a Shop, for tests and for mock=ShopMock.

package gentest

import (
	"context"
	"math/big"
	"time"
)

// ShopMock answers every call of Shop with nothing. Change it as you like: ferry gen writes it once.
type ShopMock struct{}

var _ Shop = ShopMock{}

// Greet implements Shop.
func (ShopMock) Greet(ctx context.Context, name string) (reply string, err error) { return reply, nil }

// Scalars implements Shop.
func (ShopMock) Scalars(ctx context.Context, a bool, b int8, c int16, d int32, e int, f int64, g float32, h float64, s string) (reply *Scalars, err error) {
	return reply, nil
}

// Place implements Shop.
func (ShopMock) Place(ctx context.Context, order *Order, notify bool) (reply *Order, err error) {
	return reply, nil
}

// Find implements Shop.
func (ShopMock) Find(ctx context.Context, ids []int64, filter map[string]string) (reply map[string]*Order, err error) {
	return reply, nil
}

// Echo implements Shop.
func (ShopMock) Echo(ctx context.Context, v any) (reply any, err error) { return reply, nil }

// Blob implements Shop.
func (ShopMock) Blob(ctx context.Context, data []byte, at time.Time, n *big.Int) (reply []byte, err error) {
	return reply, nil
}

// Matrix implements Shop.
func (ShopMock) Matrix(ctx context.Context, rows [][]float64, index map[int32][]string, byUser []map[string]User) (reply [][]float64, err error) {
	return reply, nil
}

// Optional implements Shop.
func (ShopMock) Optional(ctx context.Context, n *int32, s *string, at *time.Time) (reply *bool, err error) {
	return reply, nil
}

// Log implements Shop.
func (ShopMock) Log(ctx context.Context, event Event) error { return nil }

// Ping implements Shop.
func (ShopMock) Ping(ctx context.Context) error { return nil }

// Cancel implements Shop.
func (ShopMock) Cancel(ctx context.Context, id int64, reason string) error { return nil }

// CancelAll implements Shop.
func (ShopMock) CancelAll(ctx context.Context, ids []int64) (reply int, err error) { return reply, nil }

// Tree implements Shop.
func (ShopMock) Tree(ctx context.Context, depth int) (reply *Node, err error) { return reply, nil }
