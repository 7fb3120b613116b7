// Package shop has the services of the chaos example. Every call has an id of its own, which the provider writes into its
// ledger before it answers, and which comes back in the answer.
package shop

import "context"

// Catalog knows what there is.
//
//ferry:service com.example.chaos.Catalog
type Catalog interface {
	// Price looks an item up. A repeat does no harm.
	//
	//ferry:idempotent
	Price(ctx context.Context, id, item string) (string, error)
	// Reserve takes an item off the shelf: twice is once too often.
	Reserve(ctx context.Context, id, item string) (string, error)
}

// Orders takes orders.
//
//ferry:service com.example.chaos.Orders
type Orders interface {
	// Status tells how an order stands. A repeat does no harm.
	//
	//ferry:idempotent
	Status(ctx context.Context, id, order string) (string, error)
	// Place takes an order and charges for it, by a call to Payments.
	Place(ctx context.Context, id, item string) (string, error)
}

// Payments keeps accounts.
//
//ferry:service com.example.chaos.Payments
type Payments interface {
	// Balance reads an account. A repeat does no harm.
	//
	//ferry:idempotent
	Balance(ctx context.Context, id, account string) (string, error)
	// Charge takes money from an account: twice is theft.
	Charge(ctx context.Context, id, account string) (string, error)
}
