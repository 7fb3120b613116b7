// Package settings has a service with URL parameters, overloads, a oneway method and a typed error.
package settings

import "context"

type (
	// Orders is declared in a group.
	//
	//ferry:service com.example.Orders group=blue version=2.0
	Orders interface {
		// Find returns one order.
		//
		//ferry:idempotent
		//ferry:method find(int)
		Find(ctx context.Context, id int32) (*Order, error)
		// FindAll is an overload.
		//
		//ferry:method find(java.util.List) java.util.List
		FindAll(ctx context.Context, ids []int32) ([]Order, error)
		// Note waits for nothing.
		//
		//ferry:oneway
		Note(ctx context.Context, text string) error
	}

	// Order is a class named after its service.
	Order struct {
		ID    int32
		Lines map[string][]string
	}

	// Gone is a typed error.
	//
	//ferry:error com.example.GoneException
	Gone struct{ ID int32 }
)

// Error implements error.
func (e *Gone) Error() string { return "gone" }
