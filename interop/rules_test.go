package interop

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/interop/fleet"
)

// A rule is one that people write by hand, and whom calls reach while it is in force.
type rule struct{ name, path, text, untagged, tagged string }

// The rules, by name.
const (
	serviceCondition = "condition of a service, written by hand"
	appCondition     = "condition of an application, written by hand"
	appTags          = "tags by address and port, written by hand"
	serviceOverride  = "override of a service, written by hand"
	appOverride      = "override of an application, written by hand"
	weightEntry      = "override of weight, an entry of the registry"
	disabledEntry    = "override that disables, an entry of the registry"
	conditionEntry   = "condition, an entry of the registry"
)

// byHand are all of them, for consumers of a service: they lead to the second provider, but untagged calls past tags.
func byHand(service, consumer string, s steered, first, second string) []rule {
	to, head, old := "port="+s.second[strings.LastIndex(s.second, ":")+1:], "", "configVersion: v2.7\n"
	if s.gopher {
		to, head = "host="+s.second[:strings.LastIndex(s.second, ":")], "configVersion: v3.0\n"
		old = head
	}
	condition := func(scope, key string) string {
		return head + "scope: " + scope + "\nforce: true\nruntime: true\nenabled: true\npriority: 1\nkey: '" + key + "'\nconditions:\n- method=who => " + to + "\n"
	}
	override := func(scope, key string) string {
		return old + "scope: " + scope + "\nkey: '" + key + "'\nenabled: true\nconfigs:\n- side: consumer\n  addresses: ['0.0.0.0']\n  providerAddresses: ['" +
			s.first + "']\n  parameters:\n    weight: 0\n"
	}
	const texts = "/dubbo/config/dubbo/"
	entry := "/dubbo/" + service + "/configurators/" + url.QueryEscape("override://"+s.first+"/"+service+"?category=configurators&dynamic=false&enabled=true&")
	route := "/dubbo/" + service + "/routers/" + url.QueryEscape("condition://0.0.0.0/"+service+
		"?category=routers&dynamic=false&enabled=true&force=true&runtime=true&priority=1&router=condition&rule="+url.QueryEscape("method=who => "+to))
	return []rule{
		{serviceCondition, texts + service + "::.condition-router", condition("service", service), second, second},
		{appCondition, texts + consumer + ".condition-router", condition("application", consumer), second, second},
		{appTags, texts + s.app + ".tag-router", head + "force: false\nruntime: true\nenabled: true\npriority: 1\nkey: " + s.app + "\ntags:\n- name: gray\n  addresses: ['" + s.second + "']\n", first, second},
		{serviceOverride, texts + service + "::.configurators", override("service", service), second, second},
		{appOverride, texts + consumer + ".configurators", override("application", consumer), second, second},
		{weightEntry, entry + url.QueryEscape("weight=0"), "", second, second},
		{disabledEntry, entry + url.QueryEscape("disabled=true"), "", second, second},
		{conditionEntry, route, "", second, second},
	}
}

// errIgnored is what a rule meets that is not followed: calls go where they go without it.
var errIgnored = errors.New("the rule is not followed")

// leads waits until calls go where they should.
func leads(get func() string, where string, patience time.Duration) error {
	got := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(patience / 20) {
		if got = get(); got == where {
			return nil
		}
	}
	if strings.HasPrefix(got, "failed: ") {
		return fmt.Errorf("calls fail, rather than reach %s: %.300s", where, got)
	}
	return fmt.Errorf("%w: calls reach %.300s, not %s", errIgnored, got, where)
}

// obeys writes a rule and says whether calls go where it leads, and back to both providers when it is gone.
func (x *fleetOf) obeys(s steered, r rule, both string, patience time.Duration) error {
	const settled = 30 * time.Second
	if err := leads(s.spread, both, settled); err != nil {
		return fmt.Errorf("before the rule: %v", err) // not wrapped: it is not that the rule is ignored
	}
	if err := x.put(r.path, r.text); err != nil {
		return err
	}
	err := leads(s.spread, r.untagged, patience)
	if err == nil {
		err = leads(s.tagged, r.tagged, patience)
	}
	if e := errors.Join(x.erase(r.path), leads(s.spread, both, settled)); e != nil {
		return fmt.Errorf("after the rule (%v): %v", err, e)
	}
	return err
}

// put makes a node with its parents.
func (x *fleetOf) put(path, text string) error {
	conn, _, err := zk.Connect([]string{x.zk.Addr()}, 10*time.Second, zk.WithLogger(quiet{}))
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			if _, err := conn.Create(path[:i], nil, 0, zk.WorldACL(zk.PermAll)); err != nil && !errors.Is(err, zk.ErrNodeExists) {
				return err
			}
		}
	}
	_, err = conn.Create(path, []byte(text), 0, zk.WorldACL(zk.PermAll))
	return err
}

// unfollowed are the rules that a peer is known not to follow about its own providers either, which a control shows each time.
var unfollowed = map[string][]string{
	"33": {appTags, conditionEntry}, "32": {appTags, conditionEntry}, "27": {appTags},
	"go": {appTags, serviceOverride, appOverride, disabledEntry, conditionEntry},
}

func (p javaPeer) ignores(r rule) bool { return slices.Contains(unfollowed[p.line], r.name) }

// doubtful says how long to wait for a rule that the peer's own programs were seen not to follow.
const doubtful = 5 * time.Second

const notFollowed = "peer limitation: this rule is not followed between the peer's own programs either"

// control has a consumer of the peer meet the rules that it is known to ignore, about providers of its own kind, and returns
// what became of them.
func (x *fleetOf) control(list []rule, s steered, both string) map[string]error {
	x.t.Helper()
	out := map[string]error{}
	for _, r := range list {
		if !x.peer.ignores(r) {
			continue
		}
		err := x.obeys(s, r, both, doubtful)
		if err != nil {
			require.ErrorIs(x.t, err, errIgnored, "the control of %s", r.name)
		}
		out[r.name] = err
	}
	return out
}

// rulesOfOthers has a consumer of the peer follow rules about Ferry's providers; control says what it made of those that it is
// known to ignore.
func (x *fleetOf) rulesOfOthers(list []rule, s steered, both string, control map[string]error) {
	for _, r := range list {
		patience := 30 * time.Second
		if control[r.name] != nil {
			patience = doubtful
		}
		err := x.obeys(s, r, both, patience)
		if errors.Is(err, errIgnored) && control[r.name] != nil {
			x.t.Logf("%s: %v; between the peer's own: %v", r.name, err, control[r.name])
			note("governance/"+r.name, x.peer.name, toFerry, notFollowed)
			continue
		}
		governed(x, r.name, toFerry, err)
	}
}

// said is what a consumer program finds its calls to reach.
func said(p *program, command string) func() string {
	return func() string {
		for _, line := range p.tell(command) {
			if reached, ok := strings.CutPrefix(line, "SPREAD "); ok { // dubbo-go logs to its standard output, too
				return reached
			}
		}
		return ""
	}
}

// spreadOf makes fifty calls.
func spreadOf(calls interface {
	Who(context.Context) (string, error)
}, tag string) string {
	ctx := context.Background()
	if tag != "" {
		ctx = ferry.WithAttachment(ctx, "dubbo.tag", tag)
	}
	var seen []string
	for range 50 {
		who, err := calls.Who(ctx)
		if err != nil {
			return "failed: " + err.Error()
		}
		if !slices.Contains(seen, who) {
			seen = append(seen, who)
		}
	}
	slices.Sort(seen)
	return strings.Join(seen, ",")
}

// moreOfJava has a Ferry consumer follow the rules of steer's that Java does not write, and a Java consumer those that it is
// known to ignore, which it returns. Both call Java's providers.
func (x *fleetOf) moreOfJava(calls fleet.Calls, java *program, first, second string) map[string]error {
	s := steered{direction: fromFerry, spread: func() string { return spreadOf(calls, "") }, tagged: func() string { return spreadOf(calls, "gray") },
		first: "127.0.0.1:" + first, second: "127.0.0.1:" + second, app: "java-app"}
	const both = "java-a,java-b"
	for _, r := range moreRules(s, "ferry-consumer", "java-a", "java-b") {
		governed(x, r.name, fromFerry, x.obeys(s, r, both, 30*time.Second))
	}
	s.spread, s.tagged = said(java, "spread"), said(java, "tagged gray")
	return x.control(moreRules(s, "java-consumer", "java-a", "java-b"), s, both)
}

// moreOfFerry has a Java consumer of Ferry's providers follow them.
func (x *fleetOf) moreOfFerry(java *program, control map[string]error, first, second string) {
	s := steered{direction: toFerry, spread: said(java, "spread"), tagged: said(java, "tagged gray"), first: first, second: second, app: "ferry-app"}
	x.rulesOfOthers(moreRules(s, "java-consumer", "ferry-a", "ferry-b"), s, "ferry-a,ferry-b", control)
}

func moreRules(s steered, consumer, first, second string) []rule {
	return slices.DeleteFunc(byHand(fleet.CallsService.Name, consumer, s, first, second), func(r rule) bool {
		return r.name == weightEntry || r.name == disabledEntry // steer has them
	})
}
