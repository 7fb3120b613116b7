package extension

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry/url"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func letters(t *testing.T) *Point[string] {
	p := &Point[string]{Kind: "letter", Key: "letter", Default: "alpha"}
	for _, n := range []string{"alpha", "beta", "gamma"} {
		require.NoError(t, p.Add(n, nil, func(_ Env, u *url.URL) (string, error) {
			if u.Param("bad") == n {
				return "", errors.New("bad parameter")
			}
			return n + u.Param("suffix"), nil
		}))
	}
	return p
}

func TestOpenTakesTheNamedOneOrTheDefault(t *testing.T) {
	p := letters(t)
	v, err := p.Open(Env{}, url.MustParse("x://?letter=beta&suffix=1"))
	require.NoError(t, err)
	require.Equal(t, "beta1", v)
	v, err = p.Open(Env{}, url.MustParse("x://"))
	require.NoError(t, err)
	require.Equal(t, "alpha", v)
}

func TestOpenByScheme(t *testing.T) {
	p := &Point[string]{Kind: "protocol"}
	require.NoError(t, p.Add("dubbo", nil, func(Env, *url.URL) (string, error) { return "d", nil }))
	v, err := p.Open(Env{}, url.MustParse("dubbo://h:1"))
	require.NoError(t, err)
	require.Equal(t, "d", v)
	_, err = p.Open(Env{}, url.MustParse("dubo://h:1"))
	require.ErrorContains(t, err, `no protocol is called "dubo" (scheme=), did you mean "dubbo"?`)
}

func TestUnknownNameIsToldTheNearest(t *testing.T) {
	_, err := letters(t).Open(Env{}, url.MustParse("x://?letter=betta"))
	require.ErrorIs(t, err, ErrUnknown)
	require.ErrorContains(t, err, `no letter is called "betta" (letter=), did you mean "beta"? have alpha, beta, gamma`)
}

func TestAddRefusesTakenAndImpossibleNames(t *testing.T) {
	p := letters(t)
	require.ErrorContains(t, p.Add("beta", nil, nil), "already")
	for _, n := range []string{"", "-x", "a,b", "a b"} {
		require.Error(t, p.Add(n, nil, nil), n)
	}
}

func TestOpenErrorNamesTheImplementation(t *testing.T) {
	_, err := letters(t).Open(Env{}, url.MustParse("x://?letter=beta&bad=beta"))
	require.EqualError(t, err, "letter beta: bad parameter")
}

func TestOpenAllBuildsTheChain(t *testing.T) {
	for list, want := range map[string][]string{
		"":                   {"alpha"},
		"beta":               {"alpha", "beta"},
		"-alpha,beta":        {"beta"},
		"-default":           {},
		"gamma,default,beta": {"alpha", "gamma", "beta"},
		"alpha":              {"alpha"},
	} {
		got, err := letters(t).OpenAll(Env{}, url.MustParse("x://?letter="+list))
		require.NoError(t, err, list)
		require.Equal(t, want, got, list)
	}
	for _, list := range []string{"delta", "-delta"} {
		_, err := letters(t).OpenAll(Env{}, url.MustParse("x://?letter="+list))
		require.ErrorIs(t, err, ErrUnknown, list)
	}
}

type resource struct{ closed atomic.Int32 }

func (r *resource) Close() error { r.closed.Add(1); return nil }

func TestSharedOpensOnceAndClosesWithTheLast(t *testing.T) {
	var s Shared
	var opened atomic.Int32
	r := &resource{}
	open := func() (io.Closer, error) { opened.Add(1); return r, nil }
	var wg sync.WaitGroup
	releases := make([]func() error, 16)
	for i := range releases {
		wg.Go(func() {
			v, release, err := s.Acquire("k", open)
			require.NoError(t, err)
			require.Same(t, r, v)
			releases[i] = release
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, opened.Load())
	for i, release := range releases {
		require.EqualValues(t, 0, r.closed.Load(), "closed with %d users left", len(releases)-i)
		require.NoError(t, release())
		require.NoError(t, release(), "a second release is no other user's")
	}
	require.EqualValues(t, 1, r.closed.Load())
	_, release, err := s.Acquire("k", open)
	require.NoError(t, err)
	require.EqualValues(t, 2, opened.Load(), "after the last release it is opened anew")
	require.NoError(t, release())
}

func TestSharedDoesNotKeepAFailure(t *testing.T) {
	var s Shared
	boom := errors.New("boom")
	_, _, err := s.Acquire("k", func() (io.Closer, error) { return nil, boom })
	require.ErrorIs(t, err, boom)
	_, release, err := s.Acquire("k", func() (io.Closer, error) { return &resource{}, nil })
	require.NoError(t, err)
	require.NoError(t, release())
}
