package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ferryrpc/ferry/internal/zk"
)

// maxApplications is how many applications of one interface are followed.
const maxApplications = 1000

// mappingPath is the node that lists the applications of an interface.
func (r *Registry) mappingPath(name string) string { return r.root + "/mapping/" + name }

// parseMapping reads a list of applications.
func parseMapping(text []byte) []string {
	var apps []string
	for name := range strings.SplitSeq(string(text), ",") {
		if name = strings.TrimSpace(name); goodName(name) && !slices.Contains(apps, name) && len(apps) < maxApplications {
			apps = append(apps, name)
		}
	}
	slices.Sort(apps)
	return apps
}

// A mapping is the entry of an application in the list of one interface. It stays when the application goes, as
// others of its processes may be there, and Dubbo leaves it too.
type mapping struct {
	r    *Registry
	app  string
	path string
	watched
	proved bool
}

// prove makes sure that the list has the application. Others change it too, so it is written only in the version that
// was read.
func (m *mapping) prove(ctx context.Context) error {
	if m.proved && !m.changed() {
		return nil
	}
	m.proved = false
	leave, err := m.r.turn(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for range 10 {
		m.fired.Store(false)
		text, stat, found, err := m.r.get(ctx, m.path, m.Watch)
		switch {
		case err != nil:
			return err
		case !found:
			_, err = m.r.zk.Create(ctx, zk.Node{Path: m.path, Data: []byte(m.app), Parents: true})
		case slices.ContainsFunc(strings.Split(string(text), ","), func(s string) bool { return strings.TrimSpace(s) == m.app }):
			m.proved = true
			return nil
		case len(text) == 0:
			_, err = m.r.zk.Set(ctx, m.path, []byte(m.app), stat.Version)
		default:
			_, err = m.r.zk.Set(ctx, m.path, []byte(string(text)+","+m.app), stat.Version)
		}
		if err != nil && !passing(err) {
			return err
		}
	}
	return fmt.Errorf("%s: %w", m.path, errBusy)
}

// errBusy means that others were always quicker.
var errBusy = errors.New("others change it all the time")
