package ordered

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/internal/zk"
)

// mostState bounds a key's state in ZooKeeper, whose packets hold a megabyte.
const mostState = 256 << 10

// zkStore keeps state in ZooKeeper: one node per bucket, whose data is the sealed epoch, and one per key below it. Each write is a
// transaction with a check of the bucket node's version, which every Seal of another epoch moves. It is made for low rates: a call costs
// one write, or two when nobody waits behind it.
type zkStore struct {
	zk   *zk.Client
	root string // /…/state
}

// Seal implements Store.
func (s *zkStore) Seal(ctx context.Context, b Bucket, f lock.Fence) (Ledger, error) {
	l := &zkLedger{zk: s.zk, path: s.root + "/" + bucketName(b.Number)}
	for {
		data, stat, err := s.zk.Get(ctx, l.path, nil)
		if errors.Is(err, zk.ErrNoNode) {
			_, err = s.zk.Create(ctx, zk.Node{Path: l.path, Data: []byte(f.String()), Parents: true})
			if err == nil || errors.Is(err, zk.ErrNodeExists) || errors.Is(err, zk.ErrConnectionLost) {
				continue
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%w: seal %s: %w", ErrStore, l.path, err)
		}
		if err := maySeal(string(data), f, l.path); err != nil {
			return nil, err
		}
		// Written also when the epoch is there already: this ends whatever is under way under another version.
		stat, err = s.zk.Set(ctx, l.path, []byte(f.String()), stat.Version)
		switch {
		case err == nil:
			l.version = stat.Version
			return l, nil
		case errors.Is(err, zk.ErrBadVersion), errors.Is(err, zk.ErrNoNode), errors.Is(err, zk.ErrConnectionLost):
			continue
		}
		return nil, fmt.Errorf("%w: seal %s: %w", ErrStore, l.path, err)
	}
}

// maySeal says whether f may follow the epoch that is there.
func maySeal(sealed string, f lock.Fence, where string) error {
	old, err := lock.ParseFence(sealed)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s: %w", ErrStore, where, err)
	case old.Incarnation != f.Incarnation:
		return fmt.Errorf("%w: %s is sealed by one of %s, this one is of %s; delete it to accept the new one", ErrIncarnation, where, old.Incarnation, f.Incarnation)
	case old.Token > f.Token:
		return fmt.Errorf("%w: %s has epoch %d, ours is %d", ErrSealed, where, old.Token, f.Token)
	}
	return nil
}

type zkLedger struct {
	zk      *zk.Client
	path    string
	version int32
}

func (l *zkLedger) node(key string) string {
	h := sha256.Sum256([]byte(key))
	return l.path + "/" + base64.RawURLEncoding.EncodeToString(h[:])
}

// Load implements Ledger.
func (l *zkLedger) Load(ctx context.Context, key string) ([]byte, error) {
	data, _, err := l.zk.Get(ctx, l.node(key), nil)
	switch {
	case errors.Is(err, zk.ErrNoNode):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrStore, err)
	}
	return data, nil
}

// Save implements Ledger.
func (l *zkLedger) Save(ctx context.Context, key string, state []byte) error {
	if len(state) > mostState {
		return fmt.Errorf("%w: the key's state has %d bytes, ZooKeeper gets at most %d", ErrStore, len(state), mostState)
	}
	node := l.node(key)
	for {
		_, err := l.zk.Multi(ctx, zk.CheckOp(l.path, l.version), zk.SetOp(node, state, zk.AnyVersion))
		if errors.Is(err, zk.ErrNoNode) {
			_, err = l.zk.Multi(ctx, zk.CheckOp(l.path, l.version), zk.CreateOp(zk.Node{Path: node, Data: state}))
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, zk.ErrConnectionLost), errors.Is(err, zk.ErrNodeExists):
			continue // the same again is harmless
		}
		return l.fault(err)
	}
}

// Drop implements Ledger.
func (l *zkLedger) Drop(ctx context.Context, key string) error {
	for {
		_, err := l.zk.Multi(ctx, zk.CheckOp(l.path, l.version), zk.DeleteOp(l.node(key), zk.AnyVersion))
		switch {
		case err == nil:
			return nil
		case errors.Is(err, zk.ErrConnectionLost):
			continue
		case errors.Is(err, zk.ErrNoNode):
			if _, found, e := l.zk.Exists(ctx, l.path, nil); e == nil && found {
				return nil
			}
		}
		return l.fault(err)
	}
}

func (l *zkLedger) fault(err error) error {
	if errors.Is(err, zk.ErrBadVersion) {
		return fmt.Errorf("%w: %s", ErrSealed, l.path)
	}
	if errors.Is(err, zk.ErrNoNode) { // the bucket's node: somebody wiped the state
		return fmt.Errorf("%w: %s was deleted: %w", ErrSealed, l.path, err)
	}
	return fmt.Errorf("%w: %w", ErrStore, err)
}
