package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"dubbo.apache.org/dubbo-go/v3/common"
	"dubbo.apache.org/dubbo-go/v3/common/constant"
	"dubbo.apache.org/dubbo-go/v3/server"
	"github.com/apache/dubbo-go-hessian2/java_exception"
)

const callsService = "com.ferry.interop.Calls"

// Calls has the kinds of calls, but for overloads: a Go type has one method of a name.
type Calls struct {
	where string
	seen  *sync.Map
}

// Nothing has no arguments.
func (*Calls) Nothing(context.Context) error { return nil }

// OneWay remembers a token.
func (c *Calls) OneWay(_ context.Context, token string) error {
	c.seen.Store(token, true)
	return nil
}

// OneWaySeen says whether a token came.
func (c *Calls) OneWaySeen(_ context.Context, token string) (bool, error) {
	_, ok := c.seen.Load(token)
	return ok, nil
}

// Big echoes.
func (*Calls) Big(_ context.Context, data []byte) ([]byte, error) { return data, nil }

// Make makes so many bytes.
func (*Calls) Make(_ context.Context, size int32) ([]byte, error) { return make([]byte, size), nil }

// Attachment returns one that came, and sends one back: dubbo-go answers with the attachments of the request.
func (*Calls) Attachment(ctx context.Context, key string) (string, error) {
	all, _ := ctx.Value(constant.AttachmentKey).(map[string]interface{})
	value, ok := all[key].(string)
	if !ok {
		return "", fmt.Errorf("no attachment %q in %v", key, all)
	}
	all["reply-"+key] = "got " + value
	return value, nil
}

// Where says which of the services this is.
func (c *Calls) Where(context.Context) (string, error) { return c.where, nil }

// Fail fails in the way that it is asked for.
func (*Calls) Fail(_ context.Context, kind string) (string, error) {
	switch kind {
	case "checked":
		return "", &CheckedException{DetailMessage: "checked message", Code: 42}
	case "runtime":
		return "", java_exception.NewIllegalStateException("runtime message")
	case "custom":
		return "", &CustomException{DetailMessage: "custom message", Detail: "more"}
	case "undeclared":
		return "", &UndeclaredException{DetailMessage: "undeclared message"}
	case "cause":
		e := java_exception.NewIllegalArgumentException("outer")
		e.Cause = &CheckedException{DetailMessage: "inner", Code: 7}
		return "", e
	case "empty":
		return "", java_exception.NewIllegalStateException("")
	}
	return "", errors.New("no kind " + kind)
}

// Sleep takes its time.
func (*Calls) Sleep(_ context.Context, millis int32) (string, error) {
	time.Sleep(time.Duration(millis) * time.Millisecond)
	return fmt.Sprint("slept ", millis), nil
}

// Nap is Sleep with a timeout that the provider publishes.
func (c *Calls) Nap(ctx context.Context, millis int32) (string, error) { return c.Sleep(ctx, millis) }

// Older makes somebody older.
func (*Calls) Older(_ context.Context, p *Person, years int32) (*Person, error) {
	p.Age += years
	return p, nil
}

// Family gives all of them a favourite.
func (*Calls) Family(_ context.Context, list []interface{}, color *Color) ([]interface{}, error) {
	for _, p := range list {
		p.(*Person).Favourite = color
	}
	return list, nil
}

// Later answers as any other: what the caller makes of it is the caller's.
func (*Calls) Later(_ context.Context, name string) (string, error) { return "later " + name, nil }

// serveCalls exports Calls plainly and in two groups and versions, and Types.
func serveCalls(s *server.Server) error {
	seen := new(sync.Map)
	named := func(names ...string) (all []common.MethodInfo) {
		for _, n := range names {
			all = append(all, common.MethodInfo{Name: n, Type: constant.CallUnary})
		}
		return all
	}
	info := &common.ServiceInfo{InterfaceName: callsService, Methods: named("Nothing", "OneWay", "OneWaySeen", "Big", "Make", "Attachment", "Where", "Fail",
		"Sleep", "Nap", "Older", "Family", "Later")}
	for _, in := range []struct{ where, group, version string }{{where: "none"}, {"g1/1.0.0", "g1", "1.0.0"}, {"g2/2.0.0", "g2", "2.0.0"}} {
		// dubbo-go publishes no timeout of a method by itself. The first key is Java's, the second one is where dubbo-go looks.
		of := []server.ServiceOption{server.WithInterface(callsService), server.WithSerialization(constant.Hessian2Serialization),
			server.WithParam("nap.timeout", "700"), server.WithParam("methods.nap.timeout", "700ms")}
		if in.group != "" {
			of = append(of, server.WithGroup(in.group), server.WithVersion(in.version))
		}
		if err := s.Register(&Calls{in.where, seen}, info, of...); err != nil {
			return err
		}
	}
	var names []string
	for _, one := range samples() {
		names = append(names, one.method)
	}
	types := &common.ServiceInfo{InterfaceName: typesService, Methods: named(names...)}
	return s.Register(&Types{}, types, server.WithInterface(typesService), server.WithSerialization(constant.Hessian2Serialization))
}
