package cluster

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// ErrNoProvider is the cause of the error of a call for which no provider was left.
var ErrNoProvider = errors.New("cluster: no provider")

// SelectParams are the parameters of choosing a provider, whatever the cluster does then.
type SelectParams struct {
	Cluster        string `url:"cluster" default:"failover" doc:"what happens when a call fails"`
	Sticky         bool   `url:"sticky" default:"false" doc:"stay with one provider while it is there; needs cluster.availablecheck"`
	AvailableCheck bool   `url:"cluster.availablecheck" default:"true" doc:"pass over providers that have no connection"`
	Idempotent     string `url:"idempotent" default:"false" doc:"true: a repeat has no second effect; or the store in which providers record calls: memory, sql, redis, zookeeper, or lock: under a ZooKeeper lock of the key"`
}

// retryParams are shared by the clusters that repeat. Retries is -1 when nobody set it.
type retryParams struct {
	Retries int `url:"retries" default:"-1"`
}

// settings is a method's parameters, whatever the cluster.
type settings struct {
	SelectParams
	keyedParams
	retryParams
	set bool // retries was set by somebody
}

func (s *settings) check() error {
	if i := s.Idempotent; strings.ContainsAny(i, "&=? ") {
		return fmt.Errorf("cluster: idempotent=%q: want true, false or the name of a store", i)
	}
	return s.keyedParams.check()
}

func readSettings(u *url.URL) (settings, error) {
	var s settings
	_, s.set = u.Lookup("retries")
	if u.Param("retries") == "" {
		s.set = false
	}
	if err := u.Decode(&s); err != nil {
		return s, err
	}
	return s, s.check()
}

// checked refuses bad settings of a consumer, for the service and each method that it names.
func checked(u *url.URL) error {
	_, err := protocol.DecodePerMethod(u, func(s *settings) error { return s.check() })
	return err
}

// repeatable says whether Unknown outcomes of the method may be repeated at any provider.
func (s *settings) repeatable(m *protocol.Method) bool {
	return s.set || s.Idempotent == "true" || m.Idempotent
}

// recorded says whether t publishes that it records the method's calls, or that it needs no record, so that a repeat there
// has no second effect. For a record the call must have a key.
func recorded(t *loadbalance.Target, c *protocol.Invocation) bool {
	u := t.Ref.URL()
	if u == nil {
		return false
	}
	v := ofMethod(u, c.Method, "idempotent")
	return v == "true" || stored(v) && marked(c)
}

// perCallRetries reads Dubbo's attachment retries, which overrules the parameters for one call.
func perCallRetries(c *protocol.Invocation) (int, bool) {
	text, ok := c.Attachments.Get("retries")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// errorOf returns the *protocol.Error in err, or nil: then the service itself answered.
func errorOf(err error) *protocol.Error {
	if e, ok := err.(*protocol.Error); ok {
		return e
	}
	var e *protocol.Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}
