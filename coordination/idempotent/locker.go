package idempotent

import (
	"context"
	"errors"
	"fmt"

	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/url"
)

// root is where the locks and the records of a ZooKeeper ensemble lie, below the prefix of its URL.
const root = "/ferry/idempotent"

// ensemble returns the URL of the ensemble that a service's records use.
func ensemble(e extension.Env, u *url.URL) (*url.URL, error) {
	text := u.Param("idempotent.zookeeper")
	switch {
	case text != "":
		z, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("idempotent.zookeeper: %w", err)
		}
		if z.Scheme() != "zookeeper" {
			return nil, fmt.Errorf("idempotent.zookeeper: scheme %q, want zookeeper://", z.Scheme())
		}
		return z, nil
	case e.Registry != nil && e.Registry.Scheme() == "zookeeper":
		return e.Registry.WithPath(""), nil
	}
	return nil, errors.New("no ensemble: the registry is no ZooKeeper, so set idempotent.zookeeper=zookeeper://host:port")
}

// openLocks returns the client whose mutexes stand for keys.
func openLocks(e extension.Env, u *url.URL) (*lock.Client, error) {
	z, err := ensemble(e, u)
	if err != nil {
		return nil, err
	}
	return lock.New(e, z)
}

// LockKeys returns an Executor's Lock: the mutex of each key at ZooKeeper.
func LockKeys(locks *lock.Client) func(ctx context.Context, k Key) (*lock.Lease, error) {
	return func(ctx context.Context, k Key) (*lock.Lease, error) {
		m, err := locks.Mutex(root+"/locks/"+k.ID(), lock.Options{})
		if err != nil {
			return nil, err
		}
		return m.Lock(ctx)
	}
}
