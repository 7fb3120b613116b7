package ferry_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/filter"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/proxy"
	"github.com/ferryrpc/ferry/url"
)

const catalogService = "com.example.Catalog"

// a catalog numbers its answers, so that one that was kept shows.
type catalog struct{ calls *atomic.Int64 }

// An Item can be asked whether it is right.
type Item struct {
	Name  string
	Notes []string
}

func (i *Item) Validate() error {
	if i.Name == "" {
		return errors.New("an item needs a name")
	}
	return nil
}

func (c catalog) Find(_ context.Context, name string) (*Item, error) {
	n := c.calls.Add(1)
	if name == "gone" {
		return nil, errors.New("gone")
	}
	return &Item{name, []string{fmt.Sprint(n)}}, nil
}

func (c catalog) Put(_ context.Context, i *Item) error { c.calls.Add(1); return nil }

type catalogClient struct {
	Find func(ctx context.Context, name string) (*Item, error)
	Put  func(ctx context.Context, i *Item) error
}

func catalogOf(t *testing.T, registry, provider, consumer string, x *ferry.Extensions) (*catalogClient, *atomic.Int64, *ferry.Server) {
	calls := new(atomic.Int64)
	s := &ferry.Server{Registry: registry, Options: options(provider), Extensions: x}
	require.NoError(t, s.ExportValue(catalogService, catalog{calls}))
	t.Cleanup(func() { require.NoError(t, s.Close(canceled())) })
	c := &ferry.Client{Registry: registry, Options: options("injvm=false&timeout=20s&" + consumer), Extensions: x}
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	ref, err := c.Refer(&protocol.Interface{Name: catalogService})
	require.NoError(t, err)
	var in catalogClient
	require.NoError(t, proxy.Fill(ref, catalogService, &in))
	return &in, calls, s
}

// TestCachedReplies: equal arguments get the reply that is kept, of their own; failures and what stands in for them are not.
func TestCachedReplies(t *testing.T) {
	for _, side := range []string{"consumer", "provider"} {
		t.Run(side, func(t *testing.T) {
			params := map[string]string{side: "find.cache=lru"}
			in, calls, s := catalogOf(t, "memory://"+t.Name()[len("TestCachedReplies/"):]+"-cache", params["provider"], params["consumer"], nil)
			ctx := context.Background()
			first, err := in.Find(ctx, "apple")
			require.NoError(t, err)
			require.Equal(t, &Item{"apple", []string{"1"}}, first)
			first.Notes[0] = "mine"
			second, err := in.Find(ctx, "apple")
			require.NoError(t, err)
			require.Equal(t, &Item{"apple", []string{"1"}}, second, "the reply is the caller's")
			require.EqualValues(t, 1, calls.Load())
			_, err = in.Find(ctx, "pear")
			require.NoError(t, err)
			for range 2 {
				_, err = in.Find(ctx, "gone")
				require.ErrorContains(t, err, "gone")
			}
			require.EqualValues(t, 4, calls.Load(), "failures are not kept")
			for range 2 {
				require.NoError(t, in.Put(ctx, first))
			}
			require.EqualValues(t, 6, calls.Load(), "a method without a cache")
			_, published := s.URLs()[0].Lookup("find.cache")
			require.False(t, published, "whoever sets it has it")
		})
	}
	t.Run("in place of a failure", func(t *testing.T) {
		for _, params := range []string{"cluster=failsafe", "cluster=failback", "mock=return null", "mock=force:return null"} {
			in, calls, s := catalogOf(t, "memory://stand-in", "", "cache=lru&timeout=300ms&check.timeout=20s&"+params, nil)
			if params != "mock=force:return null" {
				require.NoError(t, s.Close(context.Background()))
			}
			got, err := in.Find(context.Background(), "apple")
			require.NoError(t, err, params)
			require.Nil(t, got)
			if params == "mock=force:return null" {
				continue
			}
			back := ferry.NewServer("memory://stand-in")
			require.NoError(t, back.ExportValue(catalogService, catalog{calls}))
			require.Eventually(t, func() bool {
				got, err := in.Find(context.Background(), "apple")
				return err == nil && got != nil
			}, patience, time.Millisecond, "%s: the empty reply is not kept", params)
			require.NoError(t, back.Close(canceled()))
		}
	})
}

type evenNames struct{}

func (evenNames) Validate(_ context.Context, c *protocol.Invocation) error {
	if name, ok := c.Args.At(0).(*string); ok && len(*name)%2 != 0 {
		return errors.New("odd names are not allowed")
	}
	return nil
}

// TestValidationOnBothSides: a consumer does not send what is invalid; a provider answers it with an error that nobody
// repeats and no mock covers, and the service is not called.
func TestValidationOnBothSides(t *testing.T) {
	for _, side := range []string{"consumer", "provider"} {
		t.Run(side, func(t *testing.T) {
			x := ferry.Builtin()
			require.NoError(t, x.Validators.Add("even", nil, func(extension.Env, *url.URL) (filter.Validator, error) { return evenNames{}, nil }))
			params := map[string]string{side: "validation=true&find.validation=even"}
			in, calls, _ := catalogOf(t, "memory://"+side+"-validation", params["provider"], params["consumer"]+"&retries=2&mock=return null", x)
			ctx := context.Background()
			require.NoError(t, in.Put(ctx, &Item{Name: "apple"}))
			_, err := in.Find(ctx, "pear")
			require.NoError(t, err)
			require.EqualValues(t, 2, calls.Load())
			err = in.Put(ctx, &Item{})
			require.ErrorContains(t, err, "an item needs a name")
			_, err = in.Find(ctx, "apple")
			require.ErrorContains(t, err, "odd names are not allowed")
			require.EqualValues(t, 2, calls.Load(), "the service saw nothing of it")
			var e *ferry.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, protocol.Application, e.Code)
			require.Equal(t, "javax.validation.ValidationException", e.Class)
			require.Equal(t, map[string]protocol.Outcome{"consumer": protocol.NotSent, "provider": protocol.Executed}[side], e.Outcome)
		})
	}
	c := ferry.NewClient("memory://no-validator")
	defer c.Close()
	_, err := c.Refer(&protocol.Interface{Name: catalogService}, options("validation=evn&check=false")...)
	require.ErrorContains(t, err, `no validator is called "evn"`)
}
