package main

import (
	"context"
	"reflect"
	"time"
	"unicode"

	"dubbo.apache.org/dubbo-go/v3/client"
	"dubbo.apache.org/dubbo-go/v3/common"
	"dubbo.apache.org/dubbo-go/v3/common/constant"
)

// tripleInfo describes a service for tri as a generator of dubbo-go's would: how each method's arguments begin, and how it is called.
func tripleInfo(sample any, methods []string) *common.ServiceInfo {
	info := &common.ServiceInfo{InterfaceName: service}
	for _, name := range methods {
		m, ok := reflect.TypeOf(sample).MethodByName(name)
		if !ok {
			continue
		}
		const first = 2 // behind the receiver and the context
		info.Methods = append(info.Methods, common.MethodInfo{Name: name, Type: constant.CallUnary,
			ReqInitFunc: func() interface{} {
				args := []interface{}{}
				for i := first; i < m.Type.NumIn(); i++ {
					args = append(args, reflect.New(m.Type.In(i)).Interface())
				}
				return args
			},
			MethodFunc: func(ctx context.Context, args []interface{}, handler interface{}) (interface{}, error) {
				in := []reflect.Value{reflect.ValueOf(handler), reflect.ValueOf(ctx)}
				for i, a := range args {
					v := reflect.ValueOf(a)
					if !v.IsValid() {
						v = reflect.Zero(m.Type.In(first + i))
					}
					in = append(in, v)
				}
				out := m.Func.Call(in)
				err, _ := out[1].Interface().(error)
				return out[0].Interface(), err
			}})
	}
	return info
}

// tripleMethods are the methods that a consumer may call; dubbo-go's makes a client for each.
func tripleMethods() *client.ClientInfo {
	info := &client.ClientInfo{InterfaceName: service, MethodNames: []string{"nowhere", "$echo", "$invoke"}}
	for _, name := range gopherMethods {
		first := []rune(name)
		first[0] = unicode.ToLower(first[0])
		info.MethodNames = append(info.MethodNames, string(first))
	}
	return info
}

// limits are calls past the limit of the provider, 8 MiB.
func (x *caller) limits() {
	const size = 9 << 20
	var text []byte
	cell("calls/request past the limit", x.failing(5*time.Second, "the limit is", "echoBytes", &text, make([]byte, size)))
	cell("calls/reply past the limit", x.failing(5*time.Second, "too large", "make", &text, int32(size)))
}
