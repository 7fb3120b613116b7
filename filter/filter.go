// Package filter holds what can be put around a call, one file each. A filter is a function that wraps an Invoker, made
// once from a URL by its constructor and found by name through an extension point; what it needs from the URL it decodes
// then, for the service and for each method that the URL names.
//
// There are three places. A consumer's cluster filters run once per call, above the cluster; its reference filters run
// once per attempt, below the balancer, with the URL merged from consumer and provider; a provider's filters run around
// the service. The table says where each filter belongs:
//
//	timeout      reference   how long an attempt may take
//	attachments  cluster     pairs of the caller's context go along
//	sendtoken    reference   the token that the provider published
//	actives      reference   calls in flight to one provider
//	metrics      cluster, reference or provider
//	context      provider    makes the call's attachments reachable from the handler
//	recover      provider    a panic becomes an error
//	token        provider    only who read the registry may call
//	executes     provider    calls running at a time
//	tps          provider    calls per interval
//	accesslog    provider    a line per call
//	validation   cluster, provider  arguments that their own Validate, or a validator, does not accept
//	cache        cluster, provider  replies for later calls with equal arguments
//
// A filter whose parameter is absent returns the Invoker as it is, so it costs nothing. Errors of a provider's filter say
// NotStarted: the service did not see the call, and the consumer may repeat it elsewhere.
package filter

import (
	"github.com/ferryrpc/ferry/protocol"
)

// pass is the filter that does nothing.
func pass(next protocol.Invoker) protocol.Invoker { return next }

// refusal is the error of a call that a filter did not let through.
func refusal(c *protocol.Invocation, code protocol.Code, o protocol.Outcome, message string) error {
	return &protocol.Error{Code: code, Outcome: o, Service: c.Method.Service, Method: c.Method.Name, Message: message}
}
