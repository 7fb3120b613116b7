// Package gentest is a service with everything that ferry gen has to deal with, together with its generated code. The
// generator's tests call it over every format, and generate it again to see that nothing changed.
package gentest

//go:generate go run ../../../cmd/ferry gen -async .

import (
	"context"
	"math/big"
	"time"
)

// Shop has one method for each kind of signature.
//
//ferry:service com.example.shop.Shop version=1.0.0 timeout=3s
type Shop interface {
	// Greet has a plain argument and reply.
	//
	//ferry:idempotent
	Greet(ctx context.Context, name string) (string, error)
	// Scalars has one argument of each scalar type.
	Scalars(ctx context.Context, a bool, b int8, c int16, d int32, e int, f int64, g float32, h float64, s string) (*Scalars, error)
	// Place takes a graph of structs.
	Place(ctx context.Context, order *Order, notify bool) (*Order, error)
	// Find takes and returns collections.
	Find(ctx context.Context, ids []int64, filter map[string]string) (map[string]*Order, error)
	// Echo returns what it got.
	Echo(ctx context.Context, v any) (any, error)
	// Blob moves bytes, times and big numbers.
	Blob(ctx context.Context, data []byte, at time.Time, n *big.Int) ([]byte, error)
	// Matrix takes nested collections.
	Matrix(ctx context.Context, rows [][]float64, index map[int32][]string, byUser []map[string]User) ([][]float64, error)
	// Optional takes pointers to scalars.
	Optional(ctx context.Context, n *int32, s *string, at *time.Time) (*bool, error)
	// Exotic takes the rarer types.
	//
	//ferry:method exotic(com.example.shop.Exotic,java.time.LocalDate,java.math.BigDecimal,java.lang.String[],short)
	Exotic(ctx context.Context, x *Exotic, day time.Time, price string, names []string, n int) (Color, error)
	// Log sends an event and waits for nothing.
	//
	//ferry:oneway
	Log(ctx context.Context, event Event) error
	// Ping has neither arguments nor a reply.
	Ping(ctx context.Context) error
	// Cancel is Java's cancel(int, java.lang.String).
	//
	//ferry:method cancel(int,java.lang.String)
	Cancel(ctx context.Context, id int64, reason string) error
	// CancelAll is an overload of it.
	//
	//ferry:method cancel(java.util.List)
	CancelAll(ctx context.Context, ids []int64) (int, error)
	Catalog
}

// Catalog is embedded in Shop.
type Catalog interface {
	// Tree returns a cyclic graph.
	Tree(ctx context.Context, depth int) (*Node, error)
}
