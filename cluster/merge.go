package cluster

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/loadbalance"
	"github.com/ferryrpc/ferry/url"
)

// Merge returns the parameters that a consumer uses with a provider: the provider's, overwritten by the consumer's. With
// the method forms (sayHello.timeout) being parameters of their own, what is in force for a method is then, in this
// order: the consumer's for the method, the provider's for the method, the consumer's, the provider's.
//
// The exceptions are Dubbo's. What identifies the provider (group, version, generic, release, dubbo, methods, timestamp,
// dubbo.tag) is always its own. What sizes its server (threads, queues, …) and its mock are never taken from it. Filters
// and listeners of references are joined, the provider's first. Beyond Dubbo: a provider cannot switch the consumer's
// filters off (-name); and the name of an idempotency store counts
// only as published by the provider, who would have to write the records; the consumer can only say true or false.
func Merge(consumer, provider *url.URL) *url.URL { return newMerger(consumer).merge(provider) }

// joinedKeys are the lists that both sides add to.
var joinedKeys = [...]string{"reference.filter", "invoker.listener"}

// A merger has the consumer's half of Merge done, for lists of thousands.
type merger struct {
	over   *url.URL          // what goes over any provider
	joined map[string]string // what is put behind the provider's value
}

func newMerger(consumer *url.URL) merger {
	m := merger{over: consumer}
	var drop []string
	for key, value := range consumer.All {
		switch {
		case identifies(key), key == "interface" && value == "*", isIdempotent(key) && value != "true" && value != "false":
			drop = append(drop, key)
		case slices.Contains(joinedKeys[:], key):
			if m.joined == nil {
				m.joined = map[string]string{}
			}
			m.joined[key] = value
		}
	}
	m.over = consumer.Without(drop...)
	return m
}

func (m merger) merge(provider *url.URL) *url.URL {
	var drop []string
	for key := range provider.All {
		if providerOnly(strings.TrimPrefix(key, "default.")) || key == "mock" || strings.HasSuffix(key, ".mock") {
			drop = append(drop, key)
		}
	}
	out := provider
	if len(drop) > 0 {
		out = out.Without(drop...)
	}
	out = out.WithAll(m.over)
	if v, ok := provider.Lookup("generic"); ok {
		out = out.With("generic", v)
	}
	for _, key := range joinedKeys {
		if theirs, ok := provider.Lookup(key); ok {
			out = out.With(key, strings.Trim(additions(theirs)+","+m.joined[key], ","))
		}
	}
	if app := provider.Param("application"); app != "" {
		out = out.With("remote.application", app)
	}
	return out
}

// additions returns the names of a provider's list that add something: it must not take the consumer's filters away.
func additions(list string) string {
	return strings.Join(slices.DeleteFunc(url.SplitList(list), func(n string) bool { return n[0] == '-' }), ",")
}

// providerOnly are the parameters of a provider's own server.
func providerOnly(key string) bool {
	switch key {
	case "threadname", "threadpool", "corethreads", "threads", "queues", "alive", "transporter":
		return true
	}
	return false
}

// identifies says whether a parameter is always the provider's own.
func identifies(key string) bool {
	switch key {
	case "group", "version", "release", "dubbo", "methods", "timestamp", "dubbo.tag":
		return true
	}
	return false
}

func isIdempotent(key string) bool {
	return key == "idempotent" || strings.HasSuffix(key, ".idempotent")
}

// shapes are the parameters whose change needs no new connection: they concern the Target alone.
func shapes(key string) bool {
	return key == "timestamp" || key == "pid" || key == "weight" || key == "warmup" || strings.HasSuffix(key, ".weight")
}

// sameProvider says whether a reference to a may serve as one to b.
func sameProvider(a, b *url.URL) bool {
	return a.Equal(b) || withoutShape(a).Equal(withoutShape(b))
}

func withoutShape(u *url.URL) *url.URL {
	return u.Without(slices.DeleteFunc(u.Keys(), func(k string) bool { return !shapes(k) })...)
}

// shape returns a Target as the URL describes it, without its Ref. What cannot be read, since others wrote it, takes the
// default.
func shape(u *url.URL) *loadbalance.Target {
	t := &loadbalance.Target{Weight: whole(u.Param("weight"), 100), Warmup: 10 * time.Minute}
	if d, err := url.ParseDuration(u.Param("warmup")); err == nil {
		t.Warmup = d
	}
	if ms, err := strconv.ParseInt(u.Param("timestamp"), 10, 64); err == nil && ms > 0 {
		if ms < 1e11 { // dubbo-go writes seconds
			ms *= 1000
		}
		t.Started = time.UnixMilli(ms)
	}
	for key, value := range u.All {
		if method, ok := strings.CutSuffix(key, ".weight"); ok && method != "" {
			if t.Weights == nil {
				t.Weights = map[string]int{}
			}
			t.Weights[method] = whole(value, t.Weight)
		}
	}
	return t
}

// whole reads a weight; negative ones count as 0, and the upper bound keeps sums from overflowing.
func whole(text string, otherwise int) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return otherwise
	}
	return min(max(n, 0), 1<<30)
}

// sameShape says whether two targets differ in nothing but their counters.
func sameShape(a, b *loadbalance.Target) bool {
	if a.Published != b.Published && (a.Published == nil || b.Published == nil || !sameProvider(a.Published, b.Published)) {
		return false
	}
	if a.Weight != b.Weight || a.Warmup != b.Warmup || !a.Started.Equal(b.Started) || len(a.Weights) != len(b.Weights) {
		return false
	}
	for m, w := range a.Weights {
		if v, ok := b.Weights[m]; !ok || v != w {
			return false
		}
	}
	return true
}
