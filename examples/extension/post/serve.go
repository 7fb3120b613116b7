package post

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/serialize"
)

// call serves one request.
func (pt *port) call(w http.ResponseWriter, r *http.Request) {
	s := service{r.PathValue("service"), r.Header.Get(headerGroup), r.Header.Get(headerVersion)}
	e := pt.find(s)
	if e == nil {
		refuse(w, http.StatusNotFound, fmt.Sprintf("service %q is not here", s.path))
		return
	}
	oneWay := false
	defer func() {
		if !oneWay {
			e.calls.end()
		}
	}()
	c, status, err := e.request(w, r)
	if err != nil {
		refuse(w, status, err.Error())
		return
	}
	if c.Method.Kind == protocol.OneWay {
		oneWay = true
		w.WriteHeader(http.StatusAccepted)
		go func() {
			defer e.calls.end()
			_ = e.invoke(r, c) // nobody waits for it
			free(c)
		}()
		return
	}
	e.answer(w, c, e.invoke(r, c))
	free(c)
}

func free(c *protocol.Invocation) {
	if c.Method.Free != nil {
		c.Method.Free(c)
	}
}

// refuse answers a call that did not start.
func refuse(w http.ResponseWriter, status int, reason string) {
	w.Header().Set(headerOutcome, notStarted)
	http.Error(w, reason, status)
}

// request decodes a call.
func (e *exporter) request(w http.ResponseWriter, r *http.Request) (c *protocol.Invocation, status int, err error) {
	name, descriptor := r.PathValue("method"), r.Header.Get(headerDescriptor)
	for _, m := range e.service.Interface.Methods {
		if m.Name == name && m.Descriptor == descriptor {
			c = m.New()
		}
	}
	if c == nil {
		return nil, http.StatusNotFound, fmt.Errorf("service %s has no method %q with the parameters %q", e.key.path, name, descriptor)
	}
	if got, want := r.Header.Get("Content-Type"), mediaType+e.params.Serialization; got != want {
		return nil, http.StatusUnsupportedMediaType, fmt.Errorf("format %q is not accepted, only %s", got, want)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, e.params.Payload))
	if err != nil {
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the request cannot be read: %w", err)
	}
	rd := e.format.Reader(body, serialize.Limits{})
	defer rd.Free()
	if c.Args != nil {
		err = rd.Read(c.Args)
	}
	if err == nil {
		c.Attachments, err = rd.ReadMap(nil)
	}
	if err != nil {
		return nil, http.StatusBadRequest, fmt.Errorf("the arguments of %s.%s cannot be decoded: %w", e.key.path, name, err)
	}
	return c, http.StatusOK, nil
}

// invoke runs a call with the context that handlers and filters know: the caller's deadline, its address, and the call.
func (e *exporter) invoke(r *http.Request, c *protocol.Invocation) (err error) {
	ctx := context.WithoutCancel(r.Context()) // a caller that leaves does not stop a handler
	if ms, err := strconv.ParseInt(r.Header.Get(headerTimeout), 10, 64); err == nil && ms > 0 && ms < int64(24*time.Hour/time.Millisecond) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
		defer cancel()
	}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		ctx = context.WithValue(ctx, protocol.PeerKey{}, net.TCPAddrFromAddrPort(peer))
	}
	defer func() {
		if v := recover(); v != nil {
			e.port.protocol.env.Log().Error("post: handler panicked", "service", e.key.path, "method", c.Method.Name, "panic", v)
			c.Started, err = true, fmt.Errorf("panic in %s.%s: %v", e.key.path, c.Method.Name, v)
		}
	}()
	return e.service.Invoker.Invoke(protocol.WithServing(ctx, c), c)
}

// answer writes what became of a call.
func (e *exporter) answer(w http.ResponseWriter, c *protocol.Invocation, err error) {
	if err != nil && !c.Started {
		status, text := http.StatusServiceUnavailable, err.Error()
		switch protocol.CodeOf(err) {
		case protocol.Forbidden:
			status = http.StatusForbidden
		case protocol.LimitExceeded:
			status = http.StatusTooManyRequests
		}
		var known *protocol.Error
		if errors.As(err, &known) && known.Message != "" {
			text = known.Message
		}
		refuse(w, status, text)
		return
	}
	wr := e.format.Writer(nil)
	defer wr.Free()
	status, werr := http.StatusOK, error(nil)
	switch {
	case err != nil:
		status, werr = http.StatusUnprocessableEntity, wr.Write(exception(err))
	case c.Reply != nil:
		werr = wr.Write(c.Reply)
	}
	w.Header().Set(headerOutcome, executed)
	if werr != nil {
		http.Error(w, fmt.Sprintf("the reply of %s.%s cannot be encoded: %v", e.key.path, c.Method.Name, werr), http.StatusInternalServerError)
		return
	}
	wr.WriteMap(c.ReplyAttachments)
	w.Header().Set("Content-Type", mediaType+e.params.Serialization)
	w.WriteHeader(status)
	_, _ = w.Write(wr.Bytes()) // a caller who has left is no error
}

// exception is a service's error as it crosses the wire: under its own class if it names one.
func exception(err error) *serialize.Exception {
	x := &serialize.Exception{Message: err.Error()}
	var named interface{ JavaClassName() string }
	if errors.As(err, &named) {
		x.Class, x.Value = named.JavaClassName(), named
	}
	return x
}
