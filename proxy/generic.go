package proxy

import (
	"context"
	"fmt"
	"strings"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// Generic returns an Invoker that makes each typed call as a $invoke by way of in: for a provider that knows the method
// but not the caller's classes, or a gateway that takes nothing else. Arguments and reply are converted by the rules of s.
// It is what the parameter proxy=generic chooses.
func Generic(in protocol.Invoker, s serialize.Serializer) protocol.Invoker {
	plain := serialize.Plain(s)
	slots := protocol.NewSlots(func(m *protocol.Method) *genericMethod {
		return &genericMethod{call: GenericMethod(m), types: typeNames(m.Descriptor), plain: plain}
	})
	return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
		if _, already := c.Args.(*protocol.GenericArgs); already || c.Method.Name == protocol.Echo {
			return in.Invoke(ctx, c)
		}
		return slots.Get(c.Method).invoke(ctx, in, s, c)
	})
}

// GenericMethod describes $invoke of one method of a service. The parameters of that method are in force for it, and it is
// idempotent if that one is.
func GenericMethod(of *protocol.Method) *protocol.Method {
	m := protocol.NewGenericMethod(of.Service)
	m.Invokes, m.Idempotent = of.Name, of.Idempotent
	m.Clone = func(args protocol.Row) protocol.Row {
		var c protocol.GenericArgs
		serialize.Copy(&c, args.(*protocol.GenericArgs))
		return &c
	}
	return m
}

type genericMethod struct {
	call  *protocol.Method
	types []string
	plain serialize.Serializer
}

func (g *genericMethod) invoke(ctx context.Context, in protocol.Invoker, s serialize.Serializer, c *protocol.Invocation) error {
	args := &protocol.GenericArgs{Method: c.Method.Name, Types: g.types, Args: []any{}}
	if c.Args != nil {
		for i := range c.Args.Len() {
			v, err := serialize.Generic(s, g.plain, serialize.Values{c.Args.At(i)}, serialize.Limits{})
			if err != nil {
				return failure(c, protocol.NotSent, fmt.Errorf("argument %d has no generic form: %w", i, err))
			}
			args.Args = append(args.Args, v)
		}
	}
	var reply protocol.AnyRow
	call := &protocol.Invocation{Method: g.call, Args: args, Reply: &reply, Timeout: c.Timeout,
		Attachments: append(append(protocol.Attachments(nil), c.Attachments...), "generic", "true")}
	err := in.Invoke(ctx, call)
	c.ReplyAttachments, c.Attempt, c.Attempts = call.ReplyAttachments, call.Attempt, call.Attempts
	if err != nil || c.Reply == nil || c.Reply.Len() == 0 {
		return err
	}
	if err := serialize.Convert(s, &reply, c.Reply, serialize.Limits{}); err != nil {
		return failure(c, protocol.Executed, fmt.Errorf("the generic reply does not fit: %w", err))
	}
	return nil
}

func failure(c *protocol.Invocation, o protocol.Outcome, cause error) error {
	return &protocol.Error{Code: protocol.Serialization, Outcome: o, Service: c.Method.Service, Method: c.Method.Name, Cause: cause}
}

// typeNames turns a JVM descriptor into the names that $invoke carries: I[Ljava/lang/String; becomes int and
// java.lang.String[]. What is no descriptor ends the list.
func typeNames(descriptor string) []string {
	names := []string{}
	for descriptor != "" {
		brackets := len(descriptor) - len(strings.TrimLeft(descriptor, "["))
		rest := descriptor[brackets:]
		if rest == "" {
			break
		}
		name, n := primitiveName(rest[0]), 1
		if rest[0] == 'L' {
			end := strings.IndexByte(rest, ';')
			if end < 0 {
				break
			}
			name, n = strings.ReplaceAll(rest[1:end], "/", "."), end+1
		}
		if name == "" {
			break
		}
		names = append(names, name+strings.Repeat("[]", brackets))
		descriptor = rest[n:]
	}
	return names
}

func primitiveName(c byte) string {
	switch c {
	case 'Z':
		return "boolean"
	case 'B':
		return "byte"
	case 'C':
		return "char"
	case 'S':
		return "short"
	case 'I':
		return "int"
	case 'J':
		return "long"
	case 'F':
		return "float"
	case 'D':
		return "double"
	}
	return ""
}
