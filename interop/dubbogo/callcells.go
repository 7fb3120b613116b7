package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"dubbo.apache.org/dubbo-go/v3/client"
	hessian "github.com/apache/dubbo-go-hessian2"
	"github.com/apache/dubbo-go-hessian2/java_exception"
	perrors "github.com/pkg/errors"
)

const mib = 1 << 20

// callCells are the calls of interop/java's CallCells, where dubbo-go has them. The provider is at the address, too.
func (x *caller) callCells(address string) {
	ctx := context.Background()
	cell("calls/one way", x.oneWay())
	cell("calls/attachments both ways", x.attachments("blau 中"))
	cell("calls/group and version", first(x.where("none", "", ""), x.where("g1/1.0.0", "g1", "1.0.0"), x.where("g2/2.0.0", "g2", "2.0.0")))
	cell("calls/group *", first(x.where("g1/1.0.0", "*", "1.0.0"), x.where("g2/2.0.0", "*", "2.0.0")))
	cell("calls/group * and version *", first(x.where("none g1/1.0.0 g2/2.0.0", "*", "*")))
	cell("calls/objects in lists", x.family())
	cell("calls/7 MiB both ways", x.big(7*mib))
	x.failures()
	var text string
	err := x.within(&text, "sleep", int32(10))
	cell("calls/timeout of the consumer", errors.Join(want("slept 10", text, err), x.timeout("sleep", client.WithCallRequestTimeout(time.Second))))
	cell("calls/timeout of the provider's URL", x.timeout("nap"))
	cell("calls/unknown service", x.nowhere(address))
	cell("calls/async by AsyncCallback", x.later(ctx))
	cell("calls/reply past the limit", x.past("make", int32(9*mib)))
	cell("calls/request past the limit", x.past("big", make([]byte, 9*mib)))
}

// reach waits until a call reaches a provider.
func (x *caller) reach() error {
	return reached(func() error { var text string; return x.within(&text, "$echo", "ok") })
}

func reached(call func() error) error {
	const patience = 10 * time.Second
	for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		if err := call(); err == nil || time.Since(start) > patience {
			return err
		}
	}
}

// within is a call that does not take for ever, as some of dubbo-go's do: a message that it does not like ends its connection.
func (x *caller) within(reply any, method string, args ...any) error {
	return x.waiting(4*time.Second, reply, method, args...)
}

func (x *caller) waiting(patience time.Duration, reply any, method string, args ...any) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("panic: %v", p)
			}
		}()
		done <- x.conn.CallUnary(context.Background(), args, reply, method, client.WithCallRequestTimeout(patience))
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(patience + time.Second):
		return fmt.Errorf("no answer within %v", patience)
	}
}

func (x *caller) nothing() error {
	var none any
	return x.within(&none, "nothing")
}

func (x *caller) oneWay() error {
	token := time.Now().String()
	var none any
	if err := x.call((&letter{oneWay: true}).with(context.Background()), "oneWay", &none, token); err != nil {
		return err
	}
	for range 100 {
		var seen bool
		if err := x.within(&seen, "oneWaySeen", token); err != nil || seen {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("the call did not arrive")
}

func (x *caller) attachments(value string) error {
	l := &letter{attachments: map[string]string{"colour": value}}
	var text string
	if err := x.call(l.with(context.Background()), "attachment", &text, "colour"); err != nil {
		return err
	}
	return errors.Join(want(value, text, nil), want("got "+value, fmt.Sprint(l.back["reply-colour"]), nil))
}

// first makes checks until one fails.
func first(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// where asks the service of a group and version which one it is, twelve times: each must be one of those.
func (x *caller) where(those, group, version string) func() error {
	return func() error {
		other, err := x, error(nil)
		if group != "" {
			other, err = x.dial(callsService, client.WithGroup(group), client.WithVersion(version))
		}
		if err == nil {
			err = other.reach()
		}
		for range 12 {
			var where string
			if err == nil {
				err = other.within(&where, "where")
			}
			if err == nil && (where == "" || !strings.Contains(those, where)) {
				err = fmt.Errorf("%q of group %q and version %q", where, group, version)
			}
		}
		return err
	}
}

func (x *caller) family() error {
	var list []any
	err := x.within(&list, "family", []any{&Person{Name: "Mia"}, &Person{Name: "Tom"}}, Blue)
	if a, b := meaning([]*Person{{Name: "Mia", Favourite: ptr(Blue)}, {Name: "Tom", Favourite: ptr(Blue)}}), meaning(list); err == nil && a != b {
		err = fmt.Errorf("got %s, not %s", b, a)
	}
	return err
}

func (x *caller) big(n int) error {
	var got []byte
	err := x.waiting(20*time.Second, &got, "big", blob(n)) // dubbo-go's reader begins anew with every piece that comes
	if err == nil && meaning(got) != meaning(blob(n)) {
		err = fmt.Errorf("got other bytes")
	}
	return err
}

// past makes a call that a limit forbids, and one that has to succeed.
func (x *caller) past(method string, arg any) error {
	var got []byte
	start := time.Now()
	err := x.within(&got, method, arg)
	if took := time.Since(start); err == nil || took > 8*time.Second {
		return fmt.Errorf("wrong failure after %v: %v", took, err)
	}
	if err := x.nothing(); err != nil {
		return fmt.Errorf("the call after it (which failed: %v): %w", err, err)
	}
	return nil
}

func (x *caller) failures() {
	thrown := func(kind string) error {
		var text string
		return perrors.Cause(x.within(&text, "fail", kind))
	}
	is := func(what string, e error) error {
		if got := meaning(e); got != what {
			return fmt.Errorf("got %T %v %s, not %s", e, e, got, what)
		}
		return nil
	}
	cell("calls/exception checked", is(meaning(&CheckedException{"checked message", 42}), thrown("checked")))
	cell("calls/exception custom", is(meaning(&CustomException{"custom message", "more"}), thrown("custom")))
	cell("calls/exception undeclared", is(meaning(&UndeclaredException{"undeclared message"}), thrown("undeclared")))
	says := func(kind, what string) error {
		e := thrown(kind)
		if _, ok := e.(java_exception.Throwabler); !ok {
			return fmt.Errorf("not an exception: %T %v", e, e)
		}
		if text, _, _ := strings.Cut(e.Error(), ":"); text != what {
			return fmt.Errorf("got %q, not %q", e.Error(), what)
		}
		return nil
	}
	cell("calls/exception runtime", says("runtime", "runtime message"))
	cell("calls/exception with cause", says("cause", "outer"))
	cell("calls/exception without message", says("empty", ""))
}

func (x *caller) timeout(method string, of ...client.CallOption) error {
	var text string
	start := time.Now()
	err := x.conn.CallUnary(context.Background(), []any{int32(4000)}, &text, method, of...)
	if took := time.Since(start); err == nil || took < 500*time.Millisecond || took > 3*time.Second {
		return fmt.Errorf("no timeout after %v: %v", took, err)
	}
	return nil
}

// nowhere asks the provider for a service that it has not, which is said at once.
func (x *caller) nowhere(address string) error {
	other, err := x.dial("com.ferry.interop.Nowhere", client.WithURL("dubbo://"+address))
	if err != nil {
		return err
	}
	var text string
	start := time.Now()
	err = other.within(&text, "x")
	if took := time.Since(start); err == nil || took > 3*time.Second || !strings.Contains(err.Error(), "Nowhere") {
		return fmt.Errorf("wrong failure after %v: %v", took, err)
	}
	return x.nothing()
}

func (x *caller) later(ctx context.Context) error {
	reply := make(chan any, 1)
	var text string
	if err := x.call((&letter{later: reply}).with(ctx), "later", &text, "Mia"); err != nil {
		return err
	}
	select {
	case v := <-reply:
		if s, ok := v.(*string); ok {
			v = *s
		}
		return want("later Mia", fmt.Sprint(v), nil)
	case <-time.After(10 * time.Second):
		return errors.New("no reply")
	}
}

// genericCells are those of a consumer that was told to call by names and maps.
func (x *caller) genericCells() {
	invoke := func(method string, types []string, args ...hessian.Object) (reply any, err error) {
		err = x.within(&reply, "$invoke", method, types, args)
		return reply, err
	}
	cell("reach", reached(func() error { _, err := invoke("where", []string{}); return err }))
	mia := map[any]any{"class": "com.ferry.interop.Person", "name": "Mia", "age": int32(30)}
	older, err := invoke("older", []string{"com.ferry.interop.Person", "int"}, mia, int32(2))
	if m, ok := older.(map[any]any); err == nil && (!ok || m["name"] != "Mia" || m["age"] != int32(32) || m["class"] != "com.ferry.interop.Person") {
		err = fmt.Errorf("got %v (%T)", older, older)
	}
	cell("calls/generic with maps for objects", err)
	mia["favourite"] = "GREEN"
	older, err = invoke("older", []string{"com.ferry.interop.Person", "int"}, mia, int32(2))
	if m, ok := older.(map[any]any); err == nil && (!ok || m["favourite"] != "GREEN") {
		err = fmt.Errorf("got %v (%T)", older, older)
	}
	cell("calls/generic with the name of an enum", err)
	_, err = invoke("fail", []string{"java.lang.String"}, "checked")
	if err == nil || !strings.Contains(err.Error(), "checked message") {
		err = fmt.Errorf("wrong failure: %v", err)
	} else {
		err = nil
	}
	cell("calls/generic exception", err)
}
