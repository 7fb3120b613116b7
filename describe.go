package ferry

import (
	"context"
	"time"

	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// describe asks a provider, by Dubbo's MetadataService, what its application offers. Registries do so for providers that
// publish it nowhere.
func (r *running) describe(ctx context.Context, service *url.URL, revision string) (any, error) {
	p, err := r.protocol(service)
	if err != nil {
		return nil, err
	}
	ref, err := p.Refer(ctx, &protocol.Interface{Name: service.Interface()}, service)
	if err != nil {
		return nil, err
	}
	defer ref.Close()
	var reply protocol.AnyRow
	err = ref.Invoke(ctx, &protocol.Invocation{Method: protocol.NewDescribeMethod(service.Interface()), Args: &protocol.AnyRow{Value: revision},
		Reply: &reply, Timeout: time.Minute}) // ctx ends before
	return reply.Value, err
}
