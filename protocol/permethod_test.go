package protocol

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/url"
)

type sample struct {
	Timeout time.Duration `url:"timeout" default:"1000"`
	Nodes   int           `url:"hash.nodes" default:"160"`
}

func TestPerMethod(t *testing.T) {
	p, err := DecodePerMethod[sample](url.MustParse("dubbo://h:1/s?timeout=300&sayHello.timeout=5s&sayHello.hash.nodes=8&other.retries=1"), nil)
	require.NoError(t, err)
	for _, index := range []int{0, 63, 64, -1} {
		require.Equal(t, sample{5 * time.Second, 8}, *p.For(&Method{Name: "sayHello", Index: index}))
	}
	require.Equal(t, sample{300 * time.Millisecond, 160}, *p.For(&Method{Name: "other", Index: 1}))
	require.Equal(t, sample{300 * time.Millisecond, 160}, *p.Base())
	require.True(t, p.Any(func(s *sample) bool { return s.Nodes == 8 }))
	require.False(t, p.Any(func(s *sample) bool { return s.Nodes == 9 }))

	for _, bad := range []string{"timeout=x", "sayHello.timeout=x", "sayHello.hash.nodes=x"} {
		_, err := DecodePerMethod[sample](url.MustParse("dubbo://h:1/s?"+bad), nil)
		require.ErrorContains(t, err, "x", bad)
	}
	_, err = DecodePerMethod(url.MustParse("dubbo://h:1/s?sayHello.hash.nodes=3"), func(s *sample) error {
		if s.Nodes < 4 {
			return fmt.Errorf("too few")
		}
		return nil
	})
	require.ErrorContains(t, err, "method sayHello: too few")
}

// TestSlots: one value per method, whoever asks, also where two methods have the same Index or none.
func TestSlots(t *testing.T) {
	s := NewSlots(func(m *Method) *string { v := m.Name; return &v })
	methods := []*Method{{Name: "a", Index: 0}, {Name: "b", Index: 0}, {Name: "c", Index: 63}, {Name: "d", Index: 64}, {Name: "e", Index: -1}, {Name: "f", Index: -1}}
	first := make([]*string, len(methods))
	for i, m := range methods {
		first[i] = s.Get(m)
		require.Equal(t, m.Name, *first[i])
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				for i, m := range methods {
					copied := *m
					if s.Get(&copied) != first[i] {
						t.Errorf("%s has another value", m.Name)
					}
				}
			}
		})
	}
	wg.Wait()
	if raceEnabled {
		return
	}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		for _, m := range methods {
			s.Get(m)
		}
	}))
}

// TestSlotsAreBounded: names that come from peers do not fill the memory.
func TestSlotsAreBounded(t *testing.T) {
	opened := 0
	s := NewSlots(func(m *Method) *int { opened++; return new(int) })
	for i := range 3 * mostNames {
		s.Get(&Method{Name: fmt.Sprint("m", i), Index: -1})
	}
	require.Equal(t, mostNames+1, opened)
	require.Same(t, s.Get(&Method{Name: "x", Index: -1}), s.Get(&Method{Name: "y", Index: -1}))
}

func TestAttachmentsOfContexts(t *testing.T) {
	a := WithAttachment(context.Background(), "k", "1")
	b, c := WithAttachment(a, "k", "2"), WithAttachment(a, "l", "3")
	require.Equal(t, Attachments{"k", "1"}, AttachmentsFrom(a))
	require.Equal(t, Attachments{"k", "2"}, AttachmentsFrom(b))
	require.Equal(t, Attachments{"k", "1", "l", "3"}, AttachmentsFrom(c))
	require.Nil(t, AttachmentsFrom(context.Background()))

	call := &Invocation{}
	s := WithServing(a, call)
	require.Same(t, call, Serving(context.WithValue(s, outgoingKey{}, nil)))
	require.Equal(t, Attachments{"k", "1"}, AttachmentsFrom(s))
	require.Nil(t, Serving(a))
	for _, key := range []string{"path", "_TO", "sys_callback_arg-2", RetryOfUnknown} {
		require.True(t, Reserved(key), key)
	}
	for _, key := range []string{"", "user", "pathway", "sys_callback_arg", "dubbo.tag", "retries"} {
		require.False(t, Reserved(key), key)
	}
}
