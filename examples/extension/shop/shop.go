// Package shop is the service of the example.
package shop

import "context"

// Shop sells things.
//
//ferry:service com.example.Shop
type Shop interface {
	// Quote says what n pieces cost.
	//
	//ferry:idempotent
	Quote(ctx context.Context, item string, n int32) (float64, error)
	// Buy sells n pieces and says who sold them.
	Buy(ctx context.Context, item string, n int32) (string, error)
}
