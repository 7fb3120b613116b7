package ferry

import (
	"errors"
	"io"
	"slices"

	"github.com/ferryrpc/ferry/cluster"
	"github.com/ferryrpc/ferry/coordination/ordered"
	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// joined is a cluster around the directory. It is replaced when an override changes a parameter that it was made from.
type joined struct {
	protocol.Invoker
	params string // the parameters that it was made from
}

// mostRetired bounds the clusters that are kept for what still runs in them, such as repeats of failback.
const mostRetired = 16

// reconfigure puts the consumer's parameters in force, overrides included: cluster, balancer and mock are those that u
// names from the next call on. After an error everything is as before. After the first call, rules.mu must be held.
func (s *source) reconfigure(u *url.URL) error {
	if s.mock != nil {
		if err := s.mock.Check(u); err != nil {
			return err
		}
	}
	if err := s.rejoin(u); err != nil || s.mock == nil {
		return err
	}
	return s.mock.Set(u)
}

// rejoin makes the cluster anew if its parameters changed. Calls that are in the old one finish there.
func (s *source) rejoin(u *url.URL) error {
	params := s.running.x.clusterParams(u)
	if s.ordered.Load() {
		params += "\n"
	}
	old := s.joined.Load()
	if old != nil && old.params == params {
		return nil
	}
	i := slices.IndexFunc(s.retired, func(j *joined) bool { return j.params == params })
	if i >= 0 { // back to an earlier one, with what it has in store
		s.joined.Store(s.retired[i])
		s.retired = slices.Delete(s.retired, i, i+1)
	} else {
		in, err := s.newCluster(u, s.directory)
		if err != nil {
			return err
		}
		s.joined.Store(&joined{in, params})
	}
	if old == nil {
		return nil
	}
	if _, ok := old.Invoker.(io.Closer); !ok {
		return nil
	}
	s.retired = append(s.retired, old)
	if len(s.retired) > mostRetired {
		oldest := s.retired[0]
		s.retired = s.retired[1:]
		s.announced.Go(func() { _ = oldest.Invoker.(io.Closer).Close() })
	}
	return nil
}

// newCluster makes the cluster that u names, with its balancer, over a directory.
func (s *source) newCluster(u *url.URL, d cluster.Directory) (protocol.Invoker, error) {
	r := s.running
	fallback, err := r.x.Balancers.Open(r.env, u)
	if err != nil {
		return nil, err
	}
	balancer := loadbalance.ByURL(func(u *url.URL) (loadbalance.Balancer, error) { return r.x.Balancers.Open(r.env, u) },
		fallback, func(err error) {
			r.env.Log().Warn("ferry: balancer of a provider", "service", u.Service(), "cause", err)
		})
	cl, err := r.x.Clusters.Open(r.env, u)
	if err != nil {
		return nil, err
	}
	if u.Param("cluster") != "ordered" && (s.ordered.Load() || ordered.Asked(u)) {
		if cl, err = ordered.NewCluster(r.env, u, cl); err != nil {
			return nil, err
		}
	}
	return cl.Join(d, balancer), nil
}

// closeJoined ends the cluster and those before it.
func (s *source) closeJoined() error {
	s.rules.mu.Lock()
	all := s.retired
	s.retired = nil
	s.rules.mu.Unlock()
	if now := s.joined.Load(); now != nil {
		all = append(all, now)
	}
	var errs []error
	for _, j := range all {
		if c, ok := j.Invoker.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// clusterParams are the parameters, one per line, that clusters and balancers read.
func (x *Extensions) clusterParams(u *url.URL) string {
	known := map[string]bool{}
	note := func(_ string, sample any) bool {
		for _, k := range url.Declared(sample) {
			known[k.Name] = true
		}
		return true
	}
	note("", cluster.SelectParams{})
	note("", loadbalance.BalancerParams{})
	note("", ordered.Params{})
	x.Clusters.Params(note)
	x.Balancers.Params(note)
	return paramLines(u, known)
}
