package zk

import (
	"context"
	"fmt"

	gozk "github.com/go-zookeeper/zk"
)

// An Op is one part of a Multi.
type Op struct {
	path string
	gen  *Generation
	make func(c *Client) any
}

// CreateOp makes a node; Parents and Container do not apply.
func CreateOp(n Node) Op {
	return Op{n.Path, n.Session, func(c *Client) any {
		return &gozk.CreateRequest{Path: n.Path, Data: n.Data, Acl: c.acl(), Flags: n.flags()}
	}}
}

// DeleteOp deletes a node of that version.
func DeleteOp(path string, version int32) Op {
	return Op{path, nil, func(*Client) any { return &gozk.DeleteRequest{Path: path, Version: version} }}
}

// SetOp writes a node's data if it has that version.
func SetOp(path string, data []byte, version int32) Op {
	return Op{path, nil, func(*Client) any { return &gozk.SetDataRequest{Path: path, Data: data, Version: version} }}
}

// CheckOp fails the whole if a node does not have that version.
func CheckOp(path string, version int32) Op {
	return Op{path, nil, func(*Client) any { return &gozk.CheckVersionRequest{Path: path, Version: version} }}
}

// Multi carries out all ops or none, in one transaction. It returns the path that each create made. The error is that of
// the first op that failed. Ephemeral creates must all be of one generation.
func (c *Client) Multi(ctx context.Context, ops ...Op) ([]string, error) {
	if len(ops) == 0 {
		return nil, nil
	}
	o := op{name: "multi", path: ops[0].path}
	requests := make([]any, len(ops))
	for i, p := range ops {
		if p.gen != nil && o.gen != nil && p.gen != o.gen {
			return nil, &opError{"multi", p.path, fmt.Errorf("%w: two generations in one transaction", ErrBadPath)}
		}
		if p.gen != nil {
			o.gen = p.gen
		}
		requests[i] = p.make(c)
	}
	return do(ctx, c, o, func(l *link) ([]string, error) {
		parts, err := l.lib.Multi(requests...)
		paths := make([]string, len(ops))
		for i, p := range parts {
			if i < len(ops) && p.Error != nil { // the servers say ok of the parts before the one that failed
				return nil, fmt.Errorf("part %d, %s: %w", i, shorten(ops[i].path), translate(l, p.Error))
			}
			if i < len(ops) {
				paths[i] = p.String
			}
		}
		return paths, err
	}, nil)
}
