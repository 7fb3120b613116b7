package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	hessian "github.com/apache/dubbo-go-hessian2"
)

// calls are kinds of calls, as cells; callCells has more of them for dubbo://.
func (x *caller) calls(tri bool) {
	ctx := context.Background()
	var text string
	err := x.call(ctx, "$echo", &text, "ok")
	cell("calls/$echo", want("ok", text, err))
	_, err = x.who()
	cell("calls/no arguments", err)
	cell("calls/96 KiB both ways", x.blob(96<<10))
	err = x.failing(3*time.Second, "nowhere", "nowhere", &text)
	cell("calls/unknown method", err)
	if tri {
		err = x.failing(3*time.Second, "what went wrong", "fail", &text, "what went wrong")
		cell("calls/exception runtime", err)
		cell("calls/7 MiB both ways", x.blob(7<<20))
		return
	}
	cell("calls/past the peer's own limit of 100 KiB", x.blob(7<<20)) // the last one: dubbo-go is not itself afterwards
}

// blob sends bytes and gets them back. A message that dubbo-go does not like ends its connection, and the call never.
func (x *caller) blob(n int) error {
	const patience = 5 * time.Second
	data := bytes.Repeat([]byte{253}, n)
	done := make(chan error, 1)
	go func() {
		var got []byte
		err := x.call(context.Background(), "echoBytes", &got, data)
		if err == nil && !bytes.Equal(data, got) {
			err = fmt.Errorf("got %d bytes, not %d", len(got), n)
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		return fmt.Errorf("no answer within %v", patience)
	}
}

func want(what, got string, err error) error {
	if err == nil && what != got {
		err = fmt.Errorf("got %q, not %q", got, what)
	}
	return err
}

// failing makes a call that has to fail with a text within a time, and then one that has to succeed.
func (x *caller) failing(within time.Duration, text, method string, reply any, args ...any) error {
	start := time.Now()
	err := x.call(context.Background(), method, reply, args...)
	switch took := time.Since(start); {
	case err == nil:
		return errors.New("nothing failed")
	case took > within:
		return fmt.Errorf("only after %v: %w", took, err)
	case !strings.Contains(err.Error(), text):
		return err
	}
	_, err = x.who()
	return err
}

// generic calls by names and maps; the program must have been told to.
func (x *caller) generic() {
	ctx := context.Background()
	invoke := func(method string, types []string, args ...hessian.Object) (reply any, err error) {
		err = x.call(ctx, "$invoke", &reply, method, types, args)
		return reply, err
	}
	n, err := invoke("echoInt", []string{"int"}, int32(5))
	if err == nil && n != int32(5) {
		err = fmt.Errorf("got %v (%T)", n, n)
	}
	cell("calls/generic", err)
}
