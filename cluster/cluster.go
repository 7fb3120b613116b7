// Package cluster makes many providers look like one: a Directory knows them, Routers narrow them down, a Balancer picks
// one, and a Cluster decides what happens when the call fails.
//
// A call meets four things here. The Directory's Snapshot is an immutable list with, for each method, a prepared Picker
// and the parameters in force; it is found by one atomic load. The Cluster picks a target from it, counts the call on the
// target and invokes its Reference. A failure is judged by its outcome (see Repeatable): a call that certainly did not
// run is repeated on another provider; one that may have run only where the user allowed it or a repeat has no second
// effect, and as long as the retry Budget lasts. A provider that fails several times in a row is set aside and probed by
// one call at a time until it answers; never more than half of the providers are.
//
// The parameters of a call's policy (retries, sticky, …) come from the URL of the first provider of the list, in which
// consumer, provider and live overrides are merged, as in Dubbo.
//
// Goroutines: a Roster (the Directory fed by a registry) has some while it opens and closes references, failback one per
// joined Invoker with tasks, forking one per copy. Close waits for all of them.
package cluster

import (
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
)

// A Directory knows the providers of one service.
type Directory interface {
	// List returns the providers that are in force for a call. It costs one atomic load.
	List(c *protocol.Invocation) *Snapshot
	// Close ends all references.
	Close() error
}

// A Router narrows a snapshot down for a call. It returns s itself when it has nothing to say, and caches what it
// computes in the snapshot (Snapshot.Narrow). It runs on every call.
type Router interface {
	Route(c *protocol.Invocation, s *Snapshot) *Snapshot
}

// A Cluster joins the providers of a directory into one Invoker. An Invoker that has goroutines is an io.Closer as well;
// it is closed before its directory.
type Cluster interface {
	Join(d Directory, b loadbalance.Balancer) protocol.Invoker
}
