package interop

import (
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/ferryrpc/ferry/internal/zktest"
)

// gopherScenes are told by who comes and goes. known is what dubbo-go cannot do in a direction, as it cannot between its own programs.
var gopherScenes = []struct {
	name                string
	application, direct bool
	play                func(s *stage, providers, consumers kind) error
	known               map[string]excuse
}{
	{name: "ZooKeeper restarted", play: (*stage).restarts, known: map[string]excuse{toFerry: losesSight}},
	{name: "by application, ZooKeeper restarted", application: true, play: (*stage).restarts},
	{name: "ZooKeeper restarted without its data", play: (*stage).forgets, known: map[string]excuse{toFerry: losesSight}},
	{name: "by application, ZooKeeper restarted without its data", application: true, play: (*stage).forgets},
	{name: "by application, rolling restart, no call fails", application: true, play: (*stage).rolls, known: map[string]excuse{fromFerry: staysListed}},
	{name: "provider killed, failover, no call fails", play: (*stage).dies, known: map[string]excuse{toFerry: losesKilled}},
	{name: "READONLY, no call fails", direct: true, play: (*stage).leaves, known: map[string]excuse{fromFerry: saysNothing, toFerry: heedsNothing}},
}

// An excuse is a limitation of dubbo-go, and what each line of a failure has to look like to be this one: of the cell's and of the control's.
type excuse struct {
	why       string
	cell, own *regexp.Regexp
}

var (
	hungUp    = regexp.MustCompile("don't have this exporter|cannot find service|connection lost|outcome: not sent|the answer is empty")
	callsFail = regexp.MustCompile("^(LOOP|calls fail)")
	unseen    = regexp.MustCompile("^(b has not answered$|LOOP .*No provider available)")

	losesSight   = excuse{"peer limitation: a consumer of dubbo-go 3.3.0 that has its ZooKeeper back registers again and misses who comes and goes from then on, also of its own providers", unseen, unseen}
	staysListed  = excuse{"peer limitation: an instance of dubbo-go 3.3.0 that ends stays listed as long as its session, says no READONLY and hangs up; its own consumers lose calls, too", hungUp, callsFail}
	losesKilled  = excuse{"peer limitation: a call of dubbo-go 3.3.0 that runs on a connection when it breaks is lost and may outlast its timeout, also with its own providers", callsFail, callsFail}
	saysNothing  = excuse{"peer limitation: dubbo-go 3.3.0 says no READONLY and hangs up; its own consumers lose calls, too", hungUp, callsFail}
	heedsNothing = excuse{"peer limitation: dubbo-go 3.3.0 does not heed READONLY and calls until the provider hangs up; it loses calls to its own providers, too", callsFail, callsFail}
)

// explains says whether a failure is the one that is excused.
func explains(known *regexp.Regexp, err error) bool {
	if err == nil || known == nil {
		return false
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if !known.MatchString(line) {
			return false
		}
	}
	return true
}

// TestDubboGoDiscovery plays them both ways.
func TestDubboGoDiscovery(t *testing.T) {
	t.Parallel()
	if !wanted(gopher.line) {
		return
	}
	program := buildGopher(t)
	for _, scene := range gopherScenes {
		play := func(t *testing.T, providers, consumers kind) error {
			s := &stage{t: t, program: program, application: scene.application, port: freePort(t)}
			if !scene.direct {
				s.zk = zktest.Start(t, zktest.Options{})
			}
			return scene.play(s, providers, consumers)
		}
		control := &control{}
		for direction, sides := range map[string][2]kind{fromFerry: {gopherKind{}, ferryKind{}}, toFerry: {ferryKind{}, gopherKind{}}} {
			t.Run(scene.name+", "+direction, func(t *testing.T) {
				t.Parallel()
				err := play(t, sides[0], sides[1])
				if known := scene.known[direction]; explains(known.cell, err) {
					own := control.fails(func() error { return play(t, gopherKind{}, gopherKind{}) })
					t.Logf("%v; between dubbo-go's own programs: %v", err, own)
					if explains(known.own, own) {
						note("discovery/"+scene.name, gopher.name, direction, known.why)
						return
					}
				}
				report(t, "discovery/"+scene.name, gopher.name, direction, err)
			})
		}
	}
}

// A control is a scene between programs of dubbo-go's, played once for both directions.
type control struct {
	once sync.Once
	err  error
}

// fails says what it lost in a few rounds: what ends under calls does not lose one each time.
func (c *control) fails(round func() error) error {
	const rounds = 5
	c.once.Do(func() {
		for i := 0; i < rounds && c.err == nil; i++ {
			c.err = round()
		}
	})
	return c.err
}
