package proxy

import (
	"context"
	"fmt"
	"reflect"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// A shape is a func type as a remote method: its argument types and its reply type.
type shape struct {
	args       []reflect.Type
	reply      reflect.Type // nil for none
	future     reflect.Type // what a *Future points to; nil when the func waits
	descriptor string
	ret        string
}

func newShape(t reflect.Type, receiver int) (*shape, error) {
	n := t.NumIn() - receiver
	if t.IsVariadic() || n < 1 || t.In(receiver) != reflect.TypeFor[context.Context]() {
		return nil, fmt.Errorf("%w: %v does not take a context.Context first", ErrType, t)
	}
	out := t.NumOut()
	s := &shape{ret: "V"}
	if reply, ok := futureType(t); ok && receiver == 0 {
		s.reply, s.future = reply, t.Out(0).Elem()
	} else if out < 1 || out > 2 || t.Out(out-1) != reflect.TypeFor[error]() {
		return nil, fmt.Errorf("%w: %v does not return error, (reply, error) or a *Future", ErrType, t)
	}
	for i := 1; i < n; i++ {
		s.args = append(s.args, t.In(receiver+i))
		d, err := Descriptor(t.In(receiver + i))
		if err != nil {
			return nil, err
		}
		s.descriptor += d
	}
	if out == 2 {
		if s.reply = t.Out(0); s.reply.Implements(reflect.TypeFor[future]()) {
			return nil, fmt.Errorf("%w: %v returns a *Future beside an error: the Future has the error", ErrType, t)
		}
	}
	if s.reply != nil {
		d, err := Descriptor(s.reply)
		if err != nil {
			return nil, err
		}
		s.ret = d
	}
	return s, nil
}

// row is a Row of reflected values; each is addressable.
type row []reflect.Value

func (r row) Len() int     { return len(r) }
func (r row) At(i int) any { return r[i].Addr().Interface() }

func newRow(types ...reflect.Type) row {
	r := make(row, len(types))
	for i, t := range types {
		r[i] = reflect.New(t).Elem()
	}
	return r
}

func (s *shape) replyRow() row {
	if s.reply == nil {
		return nil
	}
	return newRow(s.reply)
}

func (s *shape) method(service, name string, index int) *protocol.Method {
	m := &protocol.Method{Service: service, Name: name, Descriptor: s.descriptor, Return: s.ret, Index: index}
	m.New = func() *protocol.Invocation {
		return &protocol.Invocation{Method: m, Args: newRow(s.args...), Reply: s.replyRow()}
	}
	m.Clone = func(args protocol.Row) protocol.Row {
		c := newRow(s.args...)
		for i := range c {
			serialize.Copy(c.At(i), args.At(i))
		}
		return c
	}
	return m
}

// caller is the body of a func field.
func (s *shape) caller(in protocol.Invoker, m *protocol.Method) func([]reflect.Value) []reflect.Value {
	return func(values []reflect.Value) []reflect.Value {
		ctx, _ := values[0].Interface().(context.Context)
		if ctx == nil {
			ctx = context.Background()
		}
		args, reply := newRow(s.args...), s.replyRow()
		for i := range args {
			args[i].Set(values[i+1])
		}
		if s.future != nil {
			f := reflect.New(s.future)
			f.Interface().(future).init(m)
			f.Interface().(future).start(ctx, in, &protocol.Invocation{Method: m, Args: m.Clone(args), Reply: reply})
			return []reflect.Value{f}
		}
		err := in.Invoke(ctx, &protocol.Invocation{Method: m, Args: args, Reply: reply})
		e := reflect.ValueOf(&err).Elem()
		if s.reply == nil {
			return []reflect.Value{e}
		}
		if err != nil {
			reply[0].SetZero() // it may be half a reply
		}
		return []reflect.Value{reply[0], e}
	}
}

// server calls method n of an implementation.
func (s *shape) server(n int) func(context.Context, any, *protocol.Invocation) error {
	return func(ctx context.Context, impl any, c *protocol.Invocation) error {
		in := make([]reflect.Value, 1, 1+len(s.args))
		in[0] = reflect.ValueOf(&ctx).Elem()
		for i := range s.args {
			in = append(in, reflect.ValueOf(c.Args.At(i)).Elem())
		}
		out := reflect.ValueOf(impl).Method(n).Call(in)
		if s.reply != nil {
			reflect.ValueOf(c.Reply.At(0)).Elem().Set(out[0])
		}
		err, _ := out[len(out)-1].Interface().(error)
		return err
	}
}
