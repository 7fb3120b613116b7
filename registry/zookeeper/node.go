package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/ferryrpc/ferry/internal/zk"
)

// A node is one node of the tree that is to be ours. It belongs to one goroutine.
type node struct {
	r         *Registry
	path      string
	ephemeral bool
	holds     func(data []byte) bool // whether a node's data are as they should be; nil means that it needs none
	data      []byte

	watched
	ours  map[int64]bool // sessions of ours that may have made the node
	taken map[int64]bool // foreign sessions whose node we have replaced
}

func newNode(r *Registry, path string, ephemeral bool, wake func()) *node {
	return &node{r: r, path: path, ephemeral: ephemeral, watched: watch(wake), ours: map[int64]bool{}, taken: map[int64]bool{}}
}

// watched is something in the tree with a watch on it.
type watched struct {
	*zk.Watch
	fired *atomic.Bool
}

// watch makes a watch that wakes somebody.
func watch(wake func()) watched {
	fired := new(atomic.Bool)
	return watched{fired: fired, Watch: zk.NewWatch(func(zk.Event) {
		fired.Store(true)
		wake()
	})}
}

func (w watched) changed() bool { return w.fired.Load() }

func (w watched) stop() { w.Stop() }

// prove makes sure that the node is there, ours and as it should be. It returns the generation in which that holds, nil
// for persistent nodes.
func (n *node) prove(ctx context.Context) (*zk.Generation, error) {
	var gen *zk.Generation
	if n.ephemeral {
		var err error
		if gen, err = n.r.zk.Session(ctx); err != nil {
			return nil, err
		}
		n.ours[gen.ID()] = true
	}
	leave, err := n.r.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	for range 4 { // others may work on the node meanwhile
		n.fired.Store(false) // whatever it was, the next answer has it
		stat, found, good, err := n.look(ctx)
		switch {
		case err != nil:
			return nil, err
		case !found:
			_, err = n.r.zk.Create(ctx, n.node(gen))
		case stat.Owner == ownerOf(gen) && good:
			return gen, nil
		case stat.Owner == ownerOf(gen):
			_, err = n.r.zk.Set(ctx, n.path, n.data, stat.Version)
		case n.taken[stat.Owner]:
			return nil, fmt.Errorf("%w 0x%x", ErrForeign, stat.Owner)
		default:
			n.taken[stat.Owner] = !n.ours[stat.Owner]
			_, err = n.r.zk.Multi(ctx, zk.DeleteOp(n.path, zk.AnyVersion), zk.CreateOp(n.node(gen)))
		}
		if err != nil && !passing(err) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: it comes and goes", ErrForeign)
}

// passing says whether an error only means that somebody else was quicker, or that nobody knows.
func passing(err error) bool {
	return errors.Is(err, zk.ErrNodeExists) || errors.Is(err, zk.ErrNoNode) || errors.Is(err, zk.ErrBadVersion) || errors.Is(err, zk.ErrConnectionLost)
}

// look reads what is there, and sets the watch in any case.
func (n *node) look(ctx context.Context) (stat zk.Stat, found, good bool, err error) {
	if n.holds == nil {
		stat, found, err = n.r.zk.Exists(ctx, n.path, n.Watch)
		return stat, found, true, err
	}
	data, stat, found, err := n.r.get(ctx, n.path, n.Watch)
	return stat, found, found && n.holds(data), err
}

// get reads a node's data, and sets the watch whether it is there or not.
func (r *Registry) get(ctx context.Context, path string, watch *zk.Watch) (data []byte, stat zk.Stat, found bool, err error) {
	for {
		data, stat, err = r.zk.Get(ctx, path, watch)
		if err == nil {
			return data, stat, true, nil
		}
		if !errors.Is(err, zk.ErrNoNode) {
			return nil, stat, false, err
		}
		if stat, found, err = r.zk.Exists(ctx, path, watch); err != nil || !found {
			return nil, stat, false, err
		}
	}
}

func (n *node) node(gen *zk.Generation) zk.Node {
	return zk.Node{Path: n.path, Data: n.data, Session: gen, Parents: true}
}

// ownerOf is what the servers show as the owner of our node; 0 of a persistent one.
func ownerOf(gen *zk.Generation) int64 {
	if gen == nil {
		return 0
	}
	return gen.ID()
}

// remove deletes the node, if it is there and ours.
func (n *node) remove(ctx context.Context) error {
	leave, err := n.r.turn(ctx)
	if err != nil {
		return err
	}
	defer leave()
	stat, found, err := n.r.zk.Exists(ctx, n.path, nil)
	if err != nil {
		return err
	}
	if !found || n.ephemeral && !n.ours[stat.Owner] || !n.ephemeral && stat.Owner != 0 {
		return nil
	}
	err = n.r.zk.Delete(ctx, n.path, zk.AnyVersion)
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	return err
}
