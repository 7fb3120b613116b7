package main

import (
	"context"

	"dubbo.apache.org/dubbo-go/v3/common"
	"dubbo.apache.org/dubbo-go/v3/common/constant"
	"dubbo.apache.org/dubbo-go/v3/filter"
	"dubbo.apache.org/dubbo-go/v3/protocol"
	"dubbo.apache.org/dubbo-go/v3/protocol/invocation"
	"dubbo.apache.org/dubbo-go/v3/remoting"
)

// courierName is the filter's in dubbo-go's table.
const courierName = "courier"

// A letter is what goes along with a call of dubbo-go's client, which takes none of it by itself: it travels in the context to a
// filter.
type letter struct {
	attachments map[string]string
	oneWay      bool
	later       chan<- any     // a call with it returns at once; the reply, or an error, comes here
	back        map[string]any // the attachments of the answer
}

type letterKey struct{}

func (l *letter) with(ctx context.Context) context.Context {
	return context.WithValue(ctx, letterKey{}, l)
}

// courier is a filter of the consumer.
type courier struct{}

// Invoke puts what the letter says into the call.
func (courier) Invoke(ctx context.Context, next protocol.Invoker, call protocol.Invocation) protocol.Result {
	l, ok := ctx.Value(letterKey{}).(*letter)
	if !ok {
		return next.Invoke(ctx, call)
	}
	for k, v := range l.attachments {
		call.SetAttachment(k, v)
	}
	if l.oneWay || l.later != nil {
		call.SetAttachment(constant.AsyncKey, "true")
	}
	if inv, ok := call.(*invocation.RPCInvocation); ok && l.later != nil {
		inv.SetCallBack(l.callback())
	}
	result := next.Invoke(ctx, call)
	l.back = result.Attachments()
	return result
}

// callback hands over what came.
func (l *letter) callback() func(common.CallbackResponse) {
	return func(r common.CallbackResponse) {
		answer, ok := r.(remoting.AsyncCallbackResponse).Reply.(*remoting.Response)
		switch {
		case !ok:
			l.later <- r
		case answer.Error != nil:
			l.later <- answer.Error
		default:
			l.later <- answer.Result.(*protocol.RPCResult).Rest
		}
	}
}

// OnResponse leaves the answer alone.
func (courier) OnResponse(_ context.Context, r protocol.Result, _ protocol.Invoker, _ protocol.Invocation) protocol.Result {
	return r
}

func newCourier() filter.Filter { return courier{} }
