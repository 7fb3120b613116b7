package main

import (
	"errors"

	"github.com/ferryrpc/ferry"

	"example.com/extension/audit"
	"example.com/extension/nearest"
	"example.com/extension/post"
	"example.com/extension/tsv"
)

// extensions returns what comes with Ferry and the four implementations of this module. Calls are written to log.
func extensions(log *audit.Log) (*ferry.Extensions, error) {
	x := ferry.Builtin()
	return x, errors.Join(
		x.Balancers.Add("nearest", nearest.Params{}, nearest.New),
		x.ClusterFilters.Add("audit", audit.Params{}, log.New),
		x.ServiceFilters.Add("audit", audit.Params{}, log.New),
		x.Serializers.Add("tsv", nil, tsv.New),
		x.Protocols.Add("post", post.Params{}, post.New(&x.Serializers)),
	)
}
